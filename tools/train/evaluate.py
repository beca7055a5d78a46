"""Exact match on held-out sentences: overall, per intent, and how often commands are refused or chatter is obeyed."""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import torch

from data import read_rows
from model import complete
from tokenizer import END, prompt


def answers(model, tokenizer, texts: list) -> list:
    """Greedy answers, prompts of one length together."""
    end, groups, found = tokenizer.token_to_id(END), defaultdict(list), {}
    for i, text in enumerate(texts):
        ids = tokenizer.encode(prompt(text)).ids
        groups[len(ids)].append((i, ids))
    for group in groups.values():
        for (i, _), ids in zip(group, complete(model, [ids for _, ids in group], end)):
            found[i] = tokenizer.decode(ids).strip()
    return [found[i] for i in range(len(texts))]


def exact(model, tokenizer, rows: list) -> float:
    given = answers(model, tokenizer, [text for text, _ in rows])
    return sum(g == intent for g, (_, intent) in zip(given, rows)) / len(rows)


def kind(intent: str) -> str:
    try:
        return json.loads(intent)["intent"]
    except (ValueError, KeyError, TypeError):
        return "malformed"


def report(rows: list, given: list, wrong: int = 0) -> dict:
    right, count, same = defaultdict(int), defaultdict(int), 0
    refused = accepted = commands = chatter = 0
    for (text, intent), got in zip(rows, given):
        name, guess = kind(intent), kind(got)
        count[name] += 1
        right[name] += got == intent
        same += name == guess
        commands, chatter = commands + (name != "none"), chatter + (name == "none")
        refused += name != "none" and guess == "none"
        accepted += name == "none" and guess != "none"
        if got != intent and wrong > 0:
            wrong -= 1
            print(f"{text!r}\n  wanted {intent}\n  got    {got}")
    return {
        "count": len(rows), "exact": sum(right.values()) / len(rows), "intent_right": same / len(rows),
        "false_refusal": refused / max(1, commands), "false_accept": accepted / max(1, chatter),
        "per_intent": {n: f"{right[n]}/{count[n]}" for n in sorted(count)}}


if __name__ == "__main__":
    from export import read_back

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="heldout.jsonl or everyday.jsonl")
    parser.add_argument("--wrong", type=int, default=0, help="show so many mistakes")
    options = parser.parse_args()
    torch.set_num_threads(2)
    model, tokenizer = read_back(options.gguf)
    for path in options.rows:
        rows = read_rows(path)
        print(path.name, json.dumps(report(rows, answers(model, tokenizer, [t for t, _ in rows]), options.wrong), indent=1))
