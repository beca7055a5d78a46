"""Phi-2's architecture, small: parallel attention and MLP, rotary on part of each head, biases everywhere, untied head.

Parameter names are those of transformers' PhiForCausalLM, so a checkpoint loads there unchanged.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    vocab: int = 1024
    width: int = 320
    heads: int = 4
    layers: int = 4
    feed: int = 1280
    context: int = 256
    rotary: int = 32
    base: float = 10000.0
    epsilon: float = 1e-5


class Attention(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.heads, self.rotary, self.base = c.heads, c.rotary, c.base
        self.q_proj, self.k_proj, self.v_proj, self.dense = (nn.Linear(c.width, c.width) for _ in range(4))

    def turn(self, x):
        """Rotates the pairs (i, i + rotary/2) of the first `rotary` dimensions of each head."""
        half = self.rotary // 2
        angle = torch.arange(x.shape[2])[:, None] * self.base ** (-torch.arange(half) / half)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        a, b, rest = x.split([half, half, x.shape[3] - 2 * half], dim=3)
        return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], dim=3)

    def forward(self, x):
        n, t, width = x.shape
        q, k, v = (p(x).view(n, t, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        mixed = F.scaled_dot_product_attention(self.turn(q), self.turn(k), v, is_causal=True)
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

    def forward(self, x):
        h = self.input_layernorm(x)
        return x + self.self_attn(h) + self.mlp(h)


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
                nn.init.normal_(p, std=0.02 if "embed" in name or "head" in name else (0.5 if small else 1) * p.shape[1] ** -0.5)

    def forward(self, ids, wanted=None):
        """Logits at every position, or only at those that the mask `wanted` names."""
        x = self.model["embed_tokens"](ids)
        for layer in self.model["layers"]:
            x = layer(x)
        if wanted is not None:
            x = x[wanted]
        return self.lm_head(self.model["final_layernorm"](x))


@torch.no_grad()
def complete(model: Phi, prompts: list, end: int, most: int = 72) -> list:
    """Greedy answers for prompts of equal length, as id lists without the end token."""
    ids, done = torch.tensor(prompts), torch.zeros(len(prompts), dtype=torch.bool)
    start = ids.shape[1]
    for _ in range(most):
        last = torch.zeros(ids.shape, dtype=torch.bool)
        last[:, -1] = True
        best = model(ids, last).argmax(-1)
        best[done] = end
        ids = torch.cat([ids, best[:, None]], 1)
        done |= best == end
        if done.all():
            break
    return [[i for i in row[start:].tolist() if i != end] for row in ids]
