"""Writes the GGUF (arch phi2, Q8_0 weights, F32 norms and biases) from train.py's checkpoint."""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np

END = "<|endoftext|>"
NAMES = {  # in the GGUF: in the checkpoint
    "attn_norm": "input_layernorm", "attn_output": "self_attn.dense", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}
DESCRIPTION = ("English home commands: Home Assistant intents in a house that the prompt marks, or as compact JSON after `Instruct: {sentence}\\nOutput:`. "
               "Sentences in the training data come from home-assistant-intents (CC BY 4.0, the Home Assistant authors).")
HOME_TOKENS = Path(__file__).parents[2] / "runtime/home/tokens.json"
CONTEXT, ROTARY, BASE, EPSILON = 256, 32, 10000.0, 1e-5


def write_metadata(writer, width: int, layers: int, feed: int):
    writer.add_name("home")
    writer.add_author("PiPhi")
    writer.add_description(DESCRIPTION)
    writer.add_license("CC-BY-4.0")
    writer.add_languages(["en"])
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(feed)
    writer.add_block_count(layers)
    writer.add_head_count(width // 64)
    writer.add_head_count_kv(width // 64)
    writer.add_layer_norm_eps(EPSILON)
    writer.add_rope_dimension_count(ROTARY)
    writer.add_rope_freq_base(BASE)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_uint32("piphi.chat.turns", 1)  # it was never shown an earlier turn


def write_tokenizer(writer, file: Path):
    """The pieces of words, then the tokens of homes: no merge leads to those, so no text becomes one."""
    model = json.loads(file.read_text())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get) + json.loads(HOME_TOKENS.read_text())
    end = model["vocab"][END]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("phi-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if t == END else gguf.TokenType.NORMAL for t in tokens])
    writer.add_token_merges([" ".join(m) if isinstance(m, list) else m for m in model["merges"]])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_unk_token_id(end)
    writer.add_add_bos_token(False)


def tensors(state: dict, layers: int):
    """(GGUF name, values) in ggml's usual order; Q, K and V fused."""
    yield "token_embd.weight", state["model.embed_tokens.weight"]
    for n in range(layers):
        at = f"model.layers.{n}."
        for part in ("weight", "bias"):
            yield f"blk.{n}.attn_norm.{part}", state[f"{at}input_layernorm.{part}"]
        for part in ("weight", "bias"):
            yield f"blk.{n}.attn_qkv.{part}", np.concatenate([state[f"{at}self_attn.{x}_proj.{part}"] for x in "qkv"])
        for name in ("attn_output", "ffn_up", "ffn_down"):
            for part in ("weight", "bias"):
                yield f"blk.{n}.{name}.{part}", state[f"{at}{NAMES[name]}.{part}"]
    for part in ("weight", "bias"):
        yield f"output_norm.{part}", state[f"model.final_layernorm.{part}"]
    for part in ("weight", "bias"):
        yield f"output.{part}", state[f"lm_head.{part}"]


def write(path: Path, state: dict, tokenizer: Path):
    layers = 1 + max(int(name.split(".")[2]) for name in state if ".layers." in name)
    feed, width = state["model.layers.0.mlp.fc1.weight"].shape
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(str(part), "phi2")
    write_metadata(writer, width, layers, feed)
    write_tokenizer(writer, tokenizer)
    for name, value in tensors(state, layers):
        values = value.astype(np.float32)
        if values.ndim == 2:
            packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--gguf", type=Path, required=True)
    options = parser.parse_args()
    write(options.gguf, dict(np.load(options.checkpoint)), options.tokenizer)
    print(options.gguf.name, options.gguf.stat().st_size, "bytes")
