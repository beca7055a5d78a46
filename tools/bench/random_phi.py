"""Small Phi models with random weights: as GGUF in any block type, and as transformers' PhiForCausalLM.

What a file holds is random but plausible: activations keep a variance near one, and the head is scaled until the most
likely token has probability TOP_PROBABILITY on average, since flat distributions would hide every error.
"""

import ctypes
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, NamedTuple

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants
from transformers import PhiConfig, PhiForCausalLM

TOP_PROBABILITY = 0.5  # as with a language model on text


@dataclass(frozen=True)
class Shape:
    hidden: int
    heads: int
    ff: int
    layers: int
    vocab: int
    rotary: int = 32
    context: int = 256


@dataclass(frozen=True)
class Variant:
    shape: Shape
    fused: bool
    pre: bool
    seed: int


class Encoded(NamedTuple):
    """A tensor as the file holds it; `data` is bytes by row, or numbers for F32 and F16."""

    type: Type
    data: np.ndarray

    def values(self) -> np.ndarray:
        return quants.dequantize(self.data, self.type)


Encode = Callable[[str, int, int, float], Encoded]  # name, rows, columns, standard deviation


# ---- encoding ------------------------------------------------------------------------------------------------------


def rng_of(seed: int, name: str) -> np.random.Generator:
    """Every tensor has its own stream: it is the same whatever is drawn before it, and can be drawn again."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def quantized(kind: Type, seed: int, ggml: ctypes.CDLL | None) -> Encode:
    """Normally distributed weights through ggml's quantizer, or gguf-py's where there is no library."""

    def encode(name: str, n: int, k: int, std: float) -> Encoded:
        values = rng_of(seed, name).standard_normal((n, k), dtype=np.float32) * np.float32(std)
        if ggml is None or kind in (Type.F32, Type.F16, Type.BF16):
            return Encoded(kind, quants.quantize(values, kind))
        data = np.empty(quants.quant_shape_to_byte_shape((n, k), kind), np.uint8)
        written = ggml.ggml_quantize_chunk(int(kind), values.ctypes.data, data.ctypes.data, 0, n, k, None)
        if written != data.nbytes:
            raise RuntimeError(f"ggml wrote {written} bytes of {kind.name}, not {data.nbytes}")
        return Encoded(kind, data)

    return encode


def tie_mins(blocks: np.ndarray) -> None:
    """The 12 bytes of Q4_K's and Q5_K's 6-bit scales and mins: scales of 32..63, each min equal to its scale."""
    blocks[:, 0:4] |= 0xA0
    blocks[:, 4:8] = blocks[:, 0:4]
    blocks[:, 8:12] = (blocks[:, 8:12] & 15) * 17


def tie_nibbles(blocks: np.ndarray) -> None:
    """Q2_K's bytes of a 4-bit scale and a 4-bit min: scales of 8..15, each min equal to its scale."""
    blocks[:] = ((blocks & 7) | 8) * 17


def centre_scales(blocks: np.ndarray) -> None:
    """Q6_K's signed bytes: scales of 32..63."""
    blocks[:] = (blocks & 31) | 32


class Bits(NamedTuple):
    """Where a block keeps its f16 scale and min (the min is `ratio` scales), and how its small scales are tamed."""

    scale: int
    min: int | None = None
    ratio: float = 0.0
    small: slice = slice(0)
    tame: Callable[[np.ndarray], None] | None = None


BITS = {
    Type.Q2_K: Bits(80, 82, 1.5, slice(0, 16), tie_nibbles),
    Type.Q3_K: Bits(108),
    Type.Q4_K: Bits(0, 2, 7.5, slice(4, 16), tie_mins),
    Type.Q5_K: Bits(0, 2, 15.5, slice(4, 16), tie_mins),
    Type.Q6_K: Bits(208, small=slice(192, 208), tame=centre_scales),
    Type.IQ4_NL: Bits(0),
    Type.IQ4_XS: Bits(0),
}


def random_bits(kind: Type, seed: int) -> Encode:
    """Blocks of random bits with scales that give the asked standard deviation."""
    layout = BITS[kind]

    def encode(name: str, n: int, k: int, std: float) -> Encoded:
        rng = rng_of(seed, name)
        shape = quants.quant_shape_to_byte_shape((n, k), kind)
        blocks = rng.integers(0, 256, shape, dtype=np.uint8).reshape(-1, gguf.GGML_QUANT_SIZES[kind][1])
        jitter = rng.uniform(0.75, 1.25, len(blocks))
        if layout.tame:
            layout.tame(blocks[:, layout.small])

        def scale_by(unit: float) -> None:
            for at, factor in ((layout.scale, 1.0), (layout.min, layout.ratio)):
                if at is not None:
                    blocks[:, at : at + 2] = (jitter * unit * factor).astype(np.float16)[:, None].view(np.uint8)

        scale_by(0.01)  # small enough for f16 whatever the type
        scale_by(0.01 * std / float(quants.dequantize(blocks, kind).std()))
        return Encoded(kind, blocks.reshape(shape))

    return encode


def encoders(kind: Type, seed: int, ggml: ctypes.CDLL | None) -> dict[str, Encode]:
    """The ways to fill a type that this machine has, by name."""
    result = {}
    if kind not in BITS or ggml is not None:
        result["gguf" if ggml is None else "ggml"] = quantized(kind, seed, ggml)
    if kind in BITS:
        result["bits"] = random_bits(kind, seed)
    return result


# ---- models --------------------------------------------------------------------------------------------------------


def make_weights(shape: Shape, seed: int, encode: Encode) -> dict[str, Encoded]:
    """All tensors by their GGUF names, q, k and v apart; linear layers keep a variance near one."""
    d, ff = shape.hidden, shape.ff
    tensors: dict[str, Encoded] = {}

    def vector(name: str, n: int, mean: float, std: float) -> None:
        values = mean + std * rng_of(seed, name).standard_normal(n)
        tensors[name] = Encoded(Type.F32, values.astype(np.float32))

    def norm(name: str) -> None:
        vector(f"{name}.weight", d, 1, 0.2)
        vector(f"{name}.bias", d, 0, 0.05)

    def linear(name: str, n: int, k: int, gain: float = 1.0) -> None:
        tensors[f"{name}.weight"] = encode(f"{name}.weight", n, k, gain / k**0.5)
        vector(f"{name}.bias", n, 0, 0.1)

    tensors["token_embd.weight"] = encode("token_embd.weight", shape.vocab, d, 0.3)
    for i in range(shape.layers):
        norm(f"blk.{i}.attn_norm")
        linear(f"blk.{i}.attn_q", d, d, 1.5)  # scores of deviation 2: attention that chooses
        linear(f"blk.{i}.attn_k", d, d, 1.5)
        linear(f"blk.{i}.attn_v", d, d)
        linear(f"blk.{i}.attn_output", d, d)
        linear(f"blk.{i}.ffn_up", ff, d)
        linear(f"blk.{i}.ffn_down", d, ff, 1.5)
    norm("output_norm")
    linear("output", shape.vocab, d)
    return tensors


CHECKPOINT_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.final_layernorm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.dense",
    "ffn_up": "mlp.fc1",
    "ffn_down": "mlp.fc2",
}


def checkpoint_name(name: str) -> str:
    """blk.0.attn_q.weight -> model.layers.0.self_attn.q_proj.weight"""
    *layer, module, part = name.split(".")
    prefix = f"model.layers.{layer[1]}." if layer else ""
    return f"{prefix}{CHECKPOINT_NAMES[module]}.{part}"


def torch_model(shape: Shape, tensors: dict[str, Encoded], dtype: torch.dtype = torch.float64) -> PhiForCausalLM:
    head_dim = shape.hidden // shape.heads
    config = PhiConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.ff,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=shape.context,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": shape.rotary / head_dim,
        },
        attn_implementation="eager",
    )
    model = PhiForCausalLM(config).to(dtype).eval()
    assert model.model.layers[0].self_attn.rotary_ndims == shape.rotary
    state = {checkpoint_name(name): torch.tensor(tensor.values(), dtype=dtype) for name, tensor in tensors.items()}
    model.load_state_dict(state)
    return model


@torch.no_grad()
def logits_of(model: PhiForCausalLM, ids: list[int]) -> np.ndarray:
    """[positions][vocab]"""
    return model(torch.tensor([ids])).logits[0].numpy()


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def sharpen(shape: Shape, tensors: dict[str, Encoded], encode: Encode, ids: list[int]) -> None:
    """Encodes the head again, scaled so that the most likely token has TOP_PROBABILITY on average."""
    bias = tensors["output.bias"].values()
    raw = logits_of(torch_model(shape, tensors), ids) - bias
    low, high = 0.1, 30.0
    for _ in range(40):
        scale = (low * high) ** 0.5
        top = np.exp(log_softmax(raw * scale + bias).max(-1)).mean()
        low, high = (scale, high) if top < TOP_PROBABILITY else (low, scale)
    tensors["output.weight"] = encode("output.weight", shape.vocab, shape.hidden, low / shape.hidden**0.5)


def draw_ids(seed: int, vocab: int, count: int) -> list[int]:
    return rng_of(seed, "ids").integers(0, vocab, count).tolist()


# ---- files ---------------------------------------------------------------------------------------------------------

_MERGES = "Ġ t|Ġ a|h e|i n|r e|o n|Ġt he|e r|Ġ s|a t|e n|o r|Ġ o|Ġ w|i s|n d|i t|Ġ l|Ġa nd|l i|g h|li gh|ligh t"
MERGES = _MERGES.split("|")


def byte_alphabet() -> list[str]:
    """GPT-2's 256 base tokens in their order: printable bytes as themselves, the others from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def vocabulary(size: int) -> tuple[list[str], list[int], int]:
    """Tokens, their types and the id of the end of text."""
    tokens = byte_alphabet() + [merge.replace(" ", "") for merge in MERGES]
    types = [gguf.TokenType.NORMAL] * len(tokens)
    end = len(tokens)
    tokens += ["<|endoftext|>", " " * 3, " " * 2]  # CodeGen's runs of spaces, longest first
    types += [gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED, gguf.TokenType.USER_DEFINED]
    tokens += [f"[PAD{i}]" for i in range(len(tokens), size)]
    types += [gguf.TokenType.UNUSED] * (size - len(types))
    return tokens, types, end


def fuse(tensors: dict[str, Encoded]) -> dict[str, Encoded]:
    """attn_q, attn_k and attn_v as the one attn_qkv of most files."""
    result: dict[str, Encoded] = {}
    for name, tensor in tensors.items():
        if ".attn_q." in name:
            parts = [tensors[name.replace(".attn_q.", f".attn_{part}.")].data for part in "qkv"]
            result[name.replace(".attn_q.", ".attn_qkv.")] = Encoded(tensor.type, np.concatenate(parts))
        elif ".attn_k." not in name and ".attn_v." not in name:
            result[name] = tensor
    return result


def write_gguf(path: Path, variant: Variant, tensors: dict[str, Encoded]) -> None:
    shape = variant.shape
    tokens, types, end = vocabulary(shape.vocab)
    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "phi2")
    writer.add_name(path.stem)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.ff)
    writer.add_block_count(shape.layers)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_eps(1e-5)
    writer.add_rope_dimension_count(shape.rotary)
    writer.add_add_bos_token(False)
    writer.add_tokenizer_model("gpt2")
    if variant.pre:
        writer.add_tokenizer_pre("phi-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_unk_token_id(end)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, tensor in (fuse(tensors) if variant.fused else tensors).items():
        writer.add_tensor(name, tensor.data, raw_dtype=tensor.type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(path)
