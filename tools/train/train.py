"""
Trains the model on what encode.ts wrote; only answers are learned, prompts are context. On a GPU where there is one.

    python train.py --data a.bin b.bin --check v.bin --out OUT --seconds 500

Steps are counted out of --seconds by the clock, so that the learning rate ends at zero whatever the machine's speed. It saves
as it goes, and --resume goes on from a checkpoint. Data, order and initial weights come from --seed; sums in bfloat16 differ
from machine to machine, so expect the same accuracy, not the same weights.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from model import Config, Phi
from torch.nn import functional as F

BUCKETS = (24, 32, 40, 48, 64, 88, 128, 200)


def read_examples(path: Path):
    """Yields (prompt length, ids) of each example."""
    data = np.fromfile(path, dtype=np.uint16)
    at, end = 0, len(data)
    while at < end:
        prompt, answer = int(data[at]), int(data[at + 1])
        yield prompt, data[at + 2:at + 2 + prompt + answer]
        at += 2 + prompt + answer


class Bucket:
    """Examples padded to one length, on the device."""

    def __init__(self, width: int, examples: list, device):
        ids = np.zeros((len(examples), width), dtype=np.int16)
        for row, (_, whole) in enumerate(examples):
            ids[row, :len(whole)] = whole
        self.width = width
        self.ids = torch.from_numpy(ids).to(device)
        self.begin = torch.tensor([prompt - 1 for prompt, _ in examples], device=device)
        self.end = torch.tensor([len(whole) - 1 for _, whole in examples], device=device)

    def batch(self, rows):
        """(ids, indexes of the positions that predict an answer's token, those tokens)"""
        ids = self.ids[rows].long()
        at = torch.arange(self.width, device=ids.device)[None, :]
        mask = (at >= self.begin[rows][:, None]) & (at < self.end[rows][:, None])
        wanted = mask.flatten().nonzero().squeeze(1)
        return ids[:, :-1], wanted - wanted // self.width, ids.flatten()[wanted + 1]


def buckets(paths, device):
    sorted_ = {width: [] for width in BUCKETS}
    for path in paths:
        for example in read_examples(path):
            width = next((w for w in BUCKETS if w >= len(example[1])), None)
            if width:
                sorted_[width].append(example)
    return [Bucket(width, examples, device) for width, examples in sorted_.items() if examples]


def batches(all_, tokens: int, generator):
    """Endless: every epoch in a new order, batches of about `tokens` tokens of one bucket each."""
    while True:
        plan = []
        for bucket in all_:
            order = torch.randperm(len(bucket.ids), generator=generator).to(bucket.ids.device)
            count = max(1, tokens // bucket.width)
            plan += [(bucket, order[at:at + count]) for at in range(0, len(order), count)]
        for i in torch.randperm(len(plan), generator=generator).tolist():
            yield plan[i]


def optimizers(model, rate: float):
    """Muon for the matrices inside the layers, AdamW for all else."""
    named = list(model.named_parameters())
    inner = [p for n, p in named if p.dim() == 2 and ".layers." in n]
    tables = [p for n, p in named if p.dim() == 2 and ".layers." not in n]
    rest = [p for n, p in named if p.dim() == 1]
    fused = next(model.parameters()).is_cuda
    return [torch.optim.Muon(inner, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([{"params": tables, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=rate, betas=(0.9, 0.98), fused=fused)]


def schedule(done: float, step: int) -> float:
    """Warm up for 200 steps, hold, then fall linearly to zero over the last 60 % of the time."""
    return min(1.0, (step + 1) / 200) * min(1.0, max(0.0, (1 - done) / 0.6))


@torch.no_grad()
def exact(model, all_, device) -> float:
    """Share of answers of which every token is the most likely one after those before it."""
    right = total = 0
    for bucket in all_:
        for at in range(0, len(bucket.ids), 2048):
            rows = torch.arange(at, min(at + 2048, len(bucket.ids)), device=device)
            ids, wanted, targets = bucket.batch(rows)
            with torch.autocast(device.type, torch.bfloat16):
                hit = model(ids, wanted).argmax(-1) == targets
            of = wanted // (bucket.width - 1)
            wrong = torch.zeros(len(rows), device=device).index_add_(0, of, (~hit).float())
            right += int((wrong == 0).sum())
            total += len(rows)
    return right / max(1, total)


def save(model, path: Path):
    """Half precision: the file's weights have eight bits."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **{name: value.detach().half().cpu().numpy() for name, value in model.state_dict().items()})
    part.replace(path)


def run(options):
    torch.manual_seed(options.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    began = time.time()
    train, check = buckets(options.data, device), buckets(options.check, device)
    print(f"{sum(len(b.ids) for b in train)} examples read in {time.time() - began:.0f} s on {device}", flush=True)
    model = Phi(Config(width=options.width, layers=options.layers, heads=options.width // 64, feed=4 * options.width)).to(device)
    if options.resume:
        model.load_state_dict({name: torch.from_numpy(value).float() for name, value in np.load(options.resume).items()})
    rates = optimizers(model, options.rate)
    source = batches(train, options.tokens, torch.Generator().manual_seed(options.seed))
    began, seen, step, losses, saved, done = time.time(), 0, 0, [], time.time(), 0.0
    while done < 1:
        bucket, rows = next(source)
        ids, wanted, targets = bucket.batch(rows)
        done = min(1.0, (time.time() - began) / options.seconds)
        for optimizer in rates:
            for group in optimizer.param_groups:
                group["lr"] = options.rate * schedule(done, step)
        with torch.autocast(device.type, torch.bfloat16):
            loss = F.cross_entropy(model(ids, wanted).float(), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in rates:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seen, step = seen + ids.numel(), step + 1
        if step % 100 == 0:
            losses.append(loss.item())
            print(f"step {step} tokens {seen / 1e6:.0f}M done {done:.3f} loss {sum(losses[-5:]) / len(losses[-5:]):.4f} seconds {time.time() - began:.0f}", flush=True)
        if time.time() - saved > 60 or done >= 1:
            saved = time.time()
            save(model, options.out / options.name)
            print(f"exact {exact(model, check, device):.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--check", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="model.npz")
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=500)
    parser.add_argument("--tokens", type=int, default=65536, help="tokens in a batch")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=256)
    run(parser.parse_args())
