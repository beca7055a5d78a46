"""Writes the GGUF (arch phi2, Q8_0 weights, F32 norms and biases), and reads one back into transformers' PhiForCausalLM."""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import PhiConfig, PhiForCausalLM

from model import Config
from tokenizer import END, build, load

NAMES = {  # in the GGUF: in the checkpoint
    "attn_norm": "input_layernorm", "attn_output": "self_attn.dense", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}
DESCRIPTION = ("English home commands to Home Assistant intents as compact JSON. Prompt: `Instruct: {sentence}\\nOutput:`. "
               "Sentences in the training data come from home-assistant-intents (CC BY 4.0, the Home Assistant authors).")


def write_metadata(writer, c: Config):
    writer.add_name("home")
    writer.add_author("PiPhi")
    writer.add_description(DESCRIPTION)
    writer.add_license("CC-BY-4.0")
    writer.add_languages(["en"])
    writer.add_context_length(c.context)
    writer.add_embedding_length(c.width)
    writer.add_feed_forward_length(c.feed)
    writer.add_block_count(c.layers)
    writer.add_head_count(c.heads)
    writer.add_head_count_kv(c.heads)
    writer.add_layer_norm_eps(c.epsilon)
    writer.add_rope_dimension_count(c.rotary)
    writer.add_rope_freq_base(c.base)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_uint32("piphi.chat.turns", 1)  # it was never shown an earlier turn


def write_tokenizer(writer, tokenizer):


    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
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
            yield f"blk.{n}.attn_qkv.{part}", torch.cat([state[f"{at}self_attn.{x}_proj.{part}"] for x in "qkv"])
        for name in ("attn_output", "ffn_up", "ffn_down"):
            for part in ("weight", "bias"):
                yield f"blk.{n}.{name}.{part}", state[f"{at}{NAMES[name]}.{part}"]
    for part in ("weight", "bias"):
        yield f"output_norm.{part}", state[f"model.final_layernorm.{part}"]
    for part in ("weight", "bias"):
        yield f"output.{part}", state[f"lm_head.{part}"]


def write(path: Path, state: dict, c: Config, tokenizer):
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(str(part), "phi2")
    write_metadata(writer, c)
    write_tokenizer(writer, tokenizer)
    for name, value in tensors(state, c.layers):
        values = value.float().numpy()
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


class Logits(torch.nn.Module):
    """PhiForCausalLM with the interface of model.Phi."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, wanted=None):
        logits = self.model(ids).logits
        return logits if wanted is None else logits[wanted]


def read_back(path: Path):
    """The file as (model, tokenizer): nothing but what any reader of the GGUF has."""
    reader = gguf.GGUFReader(str(path))
    key = lambda name: reader.fields[name].contents()
    heads, width = key("phi2.attention.head_count"), key("phi2.embedding_length")
    config = PhiConfig(
        vocab_size=len(key("tokenizer.ggml.tokens")), hidden_size=width, intermediate_size=key("phi2.feed_forward_length"),
        num_hidden_layers=key("phi2.block_count"), num_attention_heads=heads, hidden_act="gelu_new", resid_pdrop=0.0, embd_pdrop=0.0,
        max_position_embeddings=key("phi2.context_length"), layer_norm_eps=key("phi2.attention.layer_norm_epsilon"),
        partial_rotary_factor=key("phi2.rope.dimension_count") / (width // heads), qk_layernorm=False, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": key("phi2.rope.freq_base"),
                         "partial_rotary_factor": key("phi2.rope.dimension_count") / (width // heads)})
    values = {t.name: torch.from_numpy(np.array(gguf.quants.dequantize(t.data, t.tensor_type))) for t in reader.tensors}
    state = {}
    for part in ("weight", "bias"):
        state[f"lm_head.{part}"], state[f"model.final_layernorm.{part}"] = values[f"output.{part}"], values[f"output_norm.{part}"]
        for n in range(config.num_hidden_layers):
            for x, value in zip("qkv", values[f"blk.{n}.attn_qkv.{part}"].chunk(3)):
                state[f"model.layers.{n}.self_attn.{x}_proj.{part}"] = value
            for name, other in NAMES.items():
                state[f"model.layers.{n}.{other}.{part}"] = values[f"blk.{n}.{name}.{part}"]
    state["model.embed_tokens.weight"] = values["token_embd.weight"]
    model = PhiForCausalLM(config).eval()
    model.load_state_dict(state, strict=True)
    tokens = key("tokenizer.ggml.tokens")
    merges = [tuple(m.split(" ")) for m in key("tokenizer.ggml.merges")]
    return Logits(model), build({t: i for i, t in enumerate(tokens)}, merges)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder with the checkpoint and tokenizer.json")
    parser.add_argument("--name", default="model.pt")
    parser.add_argument("--gguf", type=Path, required=True)
    options = parser.parse_args()
    state = torch.load(options.out / options.name)
    layers = 1 + max(int(name.split(".")[2]) for name in state if ".layers." in name)
    write(options.gguf, state, Config(layers=layers), load(options.out))
    print(options.gguf.name, options.gguf.stat().st_size, "bytes")
