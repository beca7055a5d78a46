"""The form of the model's own small byte-level BPE, which every runtime reads that knows GPT-2's; learn_tokens.py learns it."""

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

SIZE = 1024
END = "<|endoftext|>"
PHI2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def prompt(text: str) -> str:
    return f"Instruct: {text}\nOutput:"


def answer(intent: str) -> str:
    return " " + intent


def build(vocab: dict, merges: list) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PHI2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
