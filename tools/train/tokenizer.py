"""The model's own small byte-level BPE, read by every runtime that knows GPT-2's.

Words and the space before them are separate tokens, except for a few function words: so a name has the same tokens in
the sentence and in the JSON, and the model can copy it piece by piece. Digits stay single.
"""

import argparse
import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from data import read_rows

SIZE = 1024
END = "<|endoftext|>"
PHI2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
WITH_SPACE = """the turn on off in to of is my our lights light please what set percent degrees minutes timer could you switch
change and for are how all room floor bedroom a by from at {" would it i""".split()


def prompt(text: str) -> str:
    return f"Instruct: {text}\nOutput:"


def answer(intent: str) -> str:
    return " " + intent


def learn(texts) -> tuple[dict, list]:
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PHI2), "isolated"), pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), pre_tokenizers.Split("Ġ", "isolated")])
    trainer = trainers.BpeTrainer(vocab_size=SIZE - 1 - len(WITH_SPACE), initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  show_progress=False)
    bare.train_from_iterator(texts, trainer)
    learned = json.loads(bare.to_str())["model"]
    vocab, merges = learned["vocab"], [tuple(m) for m in learned["merges"]]
    spare = sorted(set(WITH_SPACE) - set(vocab))
    assert not spare, f"not learned as whole words: {spare}"
    for word in WITH_SPACE:
        merges.append(("Ġ", word))
        vocab["Ġ" + word] = len(vocab)
    vocab[END] = len(vocab)
    return vocab, merges


def build(vocab: dict, merges: list) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PHI2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def load(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder with train.jsonl; tokenizer.json is written there")
    folder = parser.parse_args().out
    rows = read_rows(folder / "train.jsonl")[:100_000]
    tokenizer = build(*learn(prompt(t) + answer(i) for t, i in rows))
    assert tokenizer.get_vocab_size() == SIZE, tokenizer.get_vocab_size()
    tokenizer.save(str(folder / "tokenizer.json"))
    sample = random.Random(1).sample(rows, 200)
    print("tokens per example", sum(len(tokenizer.encode(prompt(t) + answer(i)).ids) for t, i in sample) / len(sample))
