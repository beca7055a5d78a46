"""Phi-2's architecture, small: parallel attention and MLP, rotary on part of each head, biases everywhere, untied head.

Parameter names are those of transformers' PhiForCausalLM, so a checkpoint loads there unchanged.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    vocab: int = 1328
    width: int = 256
    heads: int = 4
    layers: int = 8
    feed: int = 1024
    context: int = 256
    rotary: int = 32
    base: float = 10000.0
    epsilon: float = 1e-5


def rotations(c: Config, device):
    """Cosines and sines of every position, [context, rotary / 2]."""
    half = c.rotary // 2
    angle = torch.arange(c.context, device=device)[:, None] * c.base ** (-torch.arange(half, device=device) / half)
    return angle.cos(), angle.sin()


def turn(x, cos, sin):
    """Rotates the pairs (i, i + rotary/2) of the first `rotary` dimensions of each head; x is [n, heads, t, head_dim]."""
    half = cos.shape[1]
    a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], dim=-1)


class Attention(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.heads = c.heads
        self.q_proj, self.k_proj, self.v_proj, self.dense = (nn.Linear(c.width, c.width) for _ in range(4))

    def forward(self, x, cos, sin):
        n, t, width = x.shape
        q, k, v = (p(x).view(n, t, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        cos, sin = cos[:t].to(q.dtype), sin[:t].to(q.dtype)
        mixed = F.scaled_dot_product_attention(turn(q, cos, sin), turn(k, cos, sin), v, is_causal=True)
        return self.dense(mixed.transpose(1, 2).reshape(n, t, width))


class Mlp(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(c.width, c.feed), nn.Linear(c.feed, c.width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Layer(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(c.width, eps=c.epsilon)
        self.self_attn, self.mlp = Attention(c), Mlp(c)

    def forward(self, x, cos, sin):
        h = self.input_layernorm(x)
        return x + self.self_attn(h, cos, sin) + self.mlp(h)


class Phi(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.config = c
        self.model = nn.ModuleDict({
            "embed_tokens": nn.Embedding(c.vocab, c.width), "layers": nn.ModuleList(Layer(c) for _ in range(c.layers)),
            "final_layernorm": nn.LayerNorm(c.width, eps=c.epsilon)})
        self.lm_head = nn.Linear(c.width, c.vocab)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.dim() == 2:
                small = name.endswith(("dense.weight", "fc2.weight"))
                nn.init.normal_(p, std=0.02 if "embed" in name or "head" in name else (0.4 if small else 1) * p.shape[1] ** -0.5)

    def forward(self, ids, wanted):
        """Logits at the positions that `wanted` names, as indexes into the flattened [n * t]."""
        cos, sin = rotations(self.config, ids.device)
        x = self.model["embed_tokens"](ids)
        for layer in self.model["layers"]:
            x = layer(x, cos, sin)
        x = x.reshape(-1, x.shape[-1])[wanted]
        return self.lm_head(self.model["final_layernorm"](x))
