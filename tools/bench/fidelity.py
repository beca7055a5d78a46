#!/usr/bin/env python3
"""How much of a model's next-token distribution survives the engine, for every block type a GGUF can hold.

    pip install -r tools/bench/fidelity-requirements.txt
    python tools/bench/fidelity.py --piphi "npx piphi"
    python tools/bench/fidelity.py --types Q4_0,Q4_K --ggml libggml-base.so --llama "node logprobs.mjs"

Small Phi models with random weights are written in each block type. PyTorch evaluates exactly the weights that the
file holds (dequantized, float64), so what is left is the engine's own error, reported as the mean over positions of
KL(exact || engine) in nats. The head is scaled until the most likely token has probability 0.5 on average: flat
distributions would hide every error.

--llama names a command that is given MODEL IDS TOP and prints {"positions": [{"top": [[id, logprob], ...]}, ...]};
--ggml a shared library of ggml, whose quantizer then makes a second set of weights for the K and IQ types, which
otherwise consist of random bits with plausible scales.
"""

import argparse
import ctypes
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from random_phi import Encode, Shape, Type, Variant, draw_ids, encoders, log_softmax, logits_of, make_weights
from random_phi import sharpen, torch_model, write_gguf

TYPES = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS".split()
COMPARED = "F16 Q8_0 Q4_0 Q4_K Q5_K Q6_K".split()
MAX_KL = 3e-3  # nats, each type, f16 cache
MAX_RATIO = 1.2  # mean KL over COMPARED, to llama.cpp's
POSITIONS = 48
RECIPE = 1  # part of every cached name; raise it when the models change

# Head sizes 80 (Phi-2) and 64 (Phi-1.5); K types need rows of a multiple of 256.
WIDE, SMALL = Shape(1280, 16, 2560, 2, 512), Shape(256, 4, 1024, 4, 512)
VARIANTS = [
    Variant(WIDE, fused=True, pre=True, seed=1),
    Variant(SMALL, fused=False, pre=False, seed=2),
    Variant(SMALL, fused=True, pre=False, seed=3),
    Variant(SMALL, fused=False, pre=True, seed=4),
]


def run_json(command: list[str]) -> dict:
    """What a command prints, as JSON; RuntimeError when it fails."""
    with tempfile.TemporaryFile("w+") as out:  # a file, since Node cuts a pipe short when a script exits at once
        code = subprocess.run(command, stdout=out).returncode
        out.seek(0)
        text = out.read()
    if code != 0:
        raise RuntimeError(f"{shlex.join(command[:3])} … ended with {code}: {text[-400:].strip()}")
    return json.loads(text)


def log_probabilities(score: dict, vocab: int) -> np.ndarray:
    """[positions][vocab]; what an engine leaves out or gives as null (a probability that underflowed) is 1e-45."""
    result = np.full((len(score["positions"]), vocab), np.log(1e-45))
    for row, position in zip(result, score["positions"]):
        for token, logprob in position["top"]:
            if logprob is not None:
                row[token] = logprob
    return result


def mean_kl(exact: np.ndarray, other: np.ndarray) -> float:
    """Mean over positions of KL(exact || other) in nats, from log-probabilities."""
    assert exact.shape == other.shape, f"expected {exact.shape} log-probabilities, got {other.shape}"
    return float((np.exp(exact) * (exact - other)).sum(-1).mean())


def prepare(
    folder: Path, kind: str, variant: Variant, source: str, encode: Encode
) -> tuple[Path, np.ndarray, list[int]]:
    """A model's file, the exact log-probabilities and the ids they belong to; made once, then taken from the cache."""
    shape = variant.shape
    layout = ("fused" if variant.fused else "split") + ("" if variant.pre else "-nopre")
    path = folder / f"{kind}-{source}-{shape.hidden}x{shape.heads}-{layout}-s{variant.seed}-r{RECIPE}.gguf"
    exact_path = path.with_suffix(".npy")
    ids = draw_ids(variant.seed, shape.vocab, POSITIONS)
    if not (path.exists() and exact_path.exists()):
        tensors = make_weights(shape, variant.seed, encode)
        sharpen(shape, tensors, encode, ids)
        np.save(exact_path, log_softmax(logits_of(torch_model(shape, tensors), ids)))
        write_gguf(path, variant, tensors)
    return path, np.load(exact_path), ids


def measure(path: Path, exact: np.ndarray, ids: list[int], args: argparse.Namespace) -> dict[str, float]:
    """Mean KL of each engine on one model."""
    vocab, id_list = exact.shape[1], ",".join(map(str, ids))
    commands: dict[str, list[str]] = {}
    if args.piphi:
        for kv in ("f16", "int8"):
            options = ["--ids", id_list, "--top", str(vocab), "--kv", kv, "--json"]
            commands[kv] = [*shlex.split(args.piphi), "score", str(path), *options]
    if args.llama:
        commands["llama"] = [*shlex.split(args.llama), str(path), id_list, str(vocab)]
    return {key: mean_kl(exact, log_probabilities(run_json(command), vocab)) for key, command in commands.items()}


def report(rows: dict[str, dict[str, float]]) -> bool:
    """Prints the table and the verdict; true = every limit holds."""

    def cell(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    print(f"{'type':8}{'piphi, f16 KV':>15}{'int8 KV adds':>15}{'llama.cpp':>12}{'ratio':>8}{'top prob.':>11}")
    for kind, row in rows.items():
        f16, int8, llama = row.get("f16"), row.get("int8"), row.get("llama")
        added = None if f16 is None or int8 is None else int8 - f16
        ratio = None if f16 is None or not llama else f16 / llama
        numbers = f"{cell(f16, '.2e'):>15}{cell(added, '.1e'):>15}{cell(llama, '.2e'):>12}{cell(ratio, '.2f'):>8}"
        print(f"{kind:8}{numbers}{row['top']:>11.2f}")
    # "not <=" instead of ">": NaN fails too
    over = {kind: row["f16"] for kind, row in rows.items() if "f16" in row and not row["f16"] <= MAX_KL}
    failures = [f"{kind} {kl:.2e} > {MAX_KL:.0e}" for kind, kl in over.items()]
    compared = [rows[kind] for kind in COMPARED if {"f16", "llama"} <= rows.get(kind, {}).keys()]
    limits = f"each type <= {MAX_KL:.0e}"
    if len(compared) == len(COMPARED):
        ratio = sum(row["f16"] for row in compared) / sum(row["llama"] for row in compared)
        print(f"mean over {' '.join(COMPARED)}: {ratio:.2f} x llama.cpp's")
        limits += f", mean <= {MAX_RATIO} x llama.cpp's"
        if not ratio <= MAX_RATIO:
            failures.append(f"mean {ratio:.2f} > {MAX_RATIO} x llama.cpp's")
    if any("f16" in row for row in rows.values()):
        print("FAIL: " + "; ".join(failures) if failures else f"PASS: {limits}")
    return not failures


def load_ggml(path: str | None) -> ctypes.CDLL | None:
    if path is None:
        return None
    ggml = ctypes.CDLL(path)
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
    return ggml


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--piphi", default="npx piphi", help='command under test; "" = none (default: %(default)s)')
    parser.add_argument("--llama", help="command that prints llama.cpp's log-probabilities")
    parser.add_argument("--ggml", help="ggml's shared library, for its quantizer")
    parser.add_argument("--types", default=",".join(TYPES), help="block types, separated by commas")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "piphi-fidelity", help="cache")
    args = parser.parse_args()
    kinds = args.types.upper().split(",")
    if unknown := set(kinds) - set(TYPES):
        parser.error(f"unknown types {', '.join(sorted(unknown))}; choose from {', '.join(TYPES)}")
    args.dir.mkdir(parents=True, exist_ok=True)
    ggml = load_ggml(args.ggml)
    rows: dict[str, dict[str, float]] = {}
    for kind in kinds:
        results = []
        for variant in VARIANTS:
            for source, encode in encoders(Type[kind], variant.seed, ggml).items():
                path, exact, ids = prepare(args.dir, kind, variant, source, encode)
                results.append(measure(path, exact, ids, args) | {"top": float(np.exp(exact.max(-1)).mean())})
                print(path.name, {key: f"{value:.2e}" for key, value in results[-1].items()}, file=sys.stderr)
        rows[kind] = {key: float(np.mean([result[key] for result in results])) for key in results[0]}
    return 0 if report(rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(f"fidelity.py: {error}")
