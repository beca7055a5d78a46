"""The model's own small byte-level BPE, learned from sentences in houses and from the JSON of those without."""

import argparse
import json
import random
from pathlib import Path

from tokenizer import END, PHI2, SIZE, answer, build, prompt
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

# Words that come so often, as commands and not as names, that the blank before them is part of their token.
MOST_WITH_SPACE = 190
NEVER = set("room kitchen bedroom bathroom office living dining hall hallway garage basement garden attic lamp lights fan blind door window speaker tv".split())


def frequent(texts) -> list:
    counts = {}
    for text in texts:
        for word in text.lower().split():
            if word.isalpha() and word.isascii():
                counts[word] = counts.get(word, 0) + 1
    return [w for w, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def learn(sentences, documents):
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PHI2), "isolated"), pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), pre_tokenizers.Split("Ġ", "isolated")])
    trainer = trainers.BpeTrainer(vocab_size=SIZE - 1 - MOST_WITH_SPACE, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    bare.train_from_iterator([t.lower() for t in sentences] + documents, trainer)
    learned = json.loads(bare.to_str())["model"]
    vocab, merges = learned["vocab"], [tuple(m) for m in learned["merges"]]
    spaced = [w for w in frequent(sentences) if w in vocab and len(w) > 0][:MOST_WITH_SPACE]
    assert len(spaced) == MOST_WITH_SPACE, len(spaced)
    for word in spaced:
        merges.append(("Ġ", word))
        vocab["Ġ" + word] = len(vocab)
    vocab[END] = len(vocab)
    return vocab, merges


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--houses", type=Path, required=True)
    parser.add_argument("--plain", type=Path, required=True, help="train.jsonl of data.py")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    lines = options.houses.read_text().splitlines()
    sentences = [s["text"] for line in random.Random(1).sample(lines, min(len(lines), 4000)) for s in json.loads(line)["sentences"]]
    rows = [json.loads(line) for line in options.plain.read_text().splitlines()[:40000]]
    tokenizer = build(*learn(sentences, [prompt(r["text"]) + answer(r["intent"]) for r in rows]))
    assert tokenizer.get_vocab_size() == SIZE, tokenizer.get_vocab_size()
    tokenizer.save(str(options.out))
    print(sum(len(tokenizer.encode(" " + w).ids) for s in sentences[:2000] for w in s.lower().split()) / sum(len(s.split()) for s in sentences[:2000]), "tokens a word")
