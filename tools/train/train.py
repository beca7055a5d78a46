"""Trains the model on train.jsonl; only the answer is learned, the sentence is context."""

import argparse
import random
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from data import read_rows
from model import Config, Phi
from tokenizer import END, answer, load, prompt


def encode(rows, tokenizer):
    end = tokenizer.token_to_id(END)
    asked = tokenizer.encode_batch([prompt(text) for text, _ in rows])
    given = tokenizer.encode_batch([answer(intent) for _, intent in rows])
    return [(a.ids, g.ids + [end]) for a, g in zip(asked, given) if len(a.ids) + len(g.ids) < 200]


def batches(rows, tokenizer, tokens: int, rng):
    """Batches of about `tokens` tokens of similar length, in random order, without end."""
    while True:
        order = rng.sample(rows, len(rows))
        for at in range(0, len(order), 8192):
            ready, batch = [], []
            for example in sorted(encode(order[at:at + 8192], tokenizer), key=lambda e: len(e[0]) + len(e[1])):
                if batch and (len(example[0]) + len(example[1])) * (len(batch) + 1) > tokens:
                    ready.append(batch)
                    batch = []
                batch.append(example)
            rng.shuffle(ready)
            yield from ready


def tensors(batch):
    """(input ids, which positions predict the answer, the answer's ids)"""
    width = max(len(a) + len(g) for a, g in batch) - 1
    ids, mask, wanted = torch.zeros(len(batch), width, dtype=torch.long), torch.zeros(len(batch), width, dtype=torch.bool), []
    for row, (asked, given) in enumerate(batch):
        whole = asked + given
        ids[row, :len(whole) - 1] = torch.tensor(whole[:-1])
        mask[row, len(asked) - 1:len(whole) - 1] = True
        wanted += given
    return ids, mask, torch.tensor(wanted)


def optimizers(model, rate: float):
    """Muon for the matrices inside the layers, AdamW for all else."""
    inner = [p for n, p in model.named_parameters() if p.dim() == 2 and ".layers." in n]
    tables = [p for n, p in model.named_parameters() if p.dim() == 2 and ".layers." not in n]
    rest = [p for p in model.parameters() if p.dim() == 1]
    return [torch.optim.Muon(inner, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([{"params": tables, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=rate, betas=(0.9, 0.98))]


def schedule(done: float, step: int) -> float:
    """Warm up for 100 steps, hold, then fall linearly to zero over the last 40 % of the budget."""
    return min(1.0, (step + 1) / 100) * min(1.0, max(0.0, (1 - done) / 0.4))


def run(options):
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    tokenizer = load(options.out)
    rows = read_rows(options.out / "train.jsonl")
    model = Phi(Config(layers=options.layers))
    if options.resume:
        model.load_state_dict(torch.load(options.resume))
    rates = optimizers(model, options.rate)
    source, began, seen, step, losses = batches(rows, tokenizer, options.tokens, random.Random(options.seed)), time.time(), 0, 0, []
    saved = began
    done = 0.0
    while done < 1:
        ids, mask, wanted = tensors(next(source))
        done = max(step / options.steps, (time.time() - began) / 60 / options.minutes)
        factor = schedule(done, step)
        for optimizer in rates:
            for group in optimizer.param_groups:
                group["lr"] = options.rate * factor
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids, mask)
        loss = F.cross_entropy(logits.float(), wanted)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in rates:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seen, step = seen + len(ids), step + 1
        losses.append(loss.item())
        if step % 20 == 0:
            print(f"step {step} seen {seen} done {done:.3f} loss {sum(losses[-20:]) / 20:.4f} seconds {time.time() - began:.0f}", flush=True)
        if time.time() - saved > 120 or done >= 1:
            saved = time.time()
            torch.save(model.state_dict(), options.out / "part.pt")
            (options.out / "part.pt").replace(options.out / options.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder with train.jsonl and tokenizer.json")
    parser.add_argument("--name", default="model.pt")
    parser.add_argument("--resume", type=Path, help="weights to start from")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=600, help="stop here even if steps are left")
    parser.add_argument("--tokens", type=int, default=2304, help="tokens in a batch")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    run(parser.parse_args())
