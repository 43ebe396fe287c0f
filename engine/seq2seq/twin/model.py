"""The model in PyTorch: the reference that the Go code is tested against, and what training runs.

The arithmetic (positions, masks, log-weights, the virtual token e, heads) is written down in ../doc.go.
Shapes: B rows of a batch, T tokens of a row, J personas of a row, n tokens of a persona, R replies of a row.
"""

import dataclasses
import hashlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from gguf import GGUFReader, dequantize

ORIGIN, PERSONA_MAX, SPACE, E_DIM, E_BIAS = 176, 120, 256, 64, -3.0
DEMO_END = ORIGIN - PERSONA_MAX  # demonstrations end before this position
NEG = -1e4  # a masked score
LINEARS = dict(q="attn_q", k="attn_k", v="attn_v", o="attn_output", gate="ffn_gate", up="ffn_up", down="ffn_down")
HEADS = ("reply", "response", "voice", "persona", "line")
SCALES = ("reply", "voice", "line")


@dataclasses.dataclass
class Config:
    preset: str
    layers: int
    dim: int
    heads: int
    kv_heads: int
    head_dim: int
    ff: int
    vocab: int
    theta: float
    eps: float
    head_layer: int
    rank: int = 32
    scale: float = 2.0
    first: int = 6  # the first layer that is adapted


class Linear(nn.Module):
    """x·Wᵀ + scale·x·Aᵀ·Bᵀ: a frozen weight and its low-rank update (Hu et al. 2021)."""

    def __init__(self, weight, rank, scale):
        super().__init__()
        self.register_buffer("w", weight)
        self.rank, self.scale = rank, scale
        if rank:
            self.a = nn.Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)
            self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, x):
        y = F.linear(x, self.w)
        if self.rank:
            y = y + F.linear(F.linear(x, self.a.to(x.dtype)), (self.b * self.scale).to(x.dtype))
        return y


class Block(nn.Module):
    def __init__(self, c, tensors, adapted):
        super().__init__()
        self.c = c
        self.register_buffer("n1", tensors["attn_norm"])
        self.register_buffer("n2", tensors["ffn_norm"])
        for name, source in LINEARS.items():
            setattr(self, name, Linear(tensors[source], c.rank if adapted else 0, c.scale))

    def forward(self, x, cos, sin, mask, past):
        """x [B, T, d]; mask [B, 1, T, keys of past + T]; past (k, v) [B, kv_heads, keys, head_dim] or None."""
        c, (B, T, _) = self.c, x.shape
        y = F.rms_norm(x, (c.dim,), self.n1, c.eps)
        split = lambda z, heads: z.view(B, T, heads, c.head_dim).transpose(1, 2)
        q, k, v = split(self.q(y), c.heads), split(self.k(y), c.kv_heads), split(self.v(y), c.kv_heads)

        def turn(z):
            a, b = z.chunk(2, -1)
            return z * cos + torch.cat((-b, a), -1) * sin

        q, k = turn(q), turn(k)
        own = k, v
        if past is not None:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        each = lambda z: z[:, :, None].expand(-1, -1, c.heads // c.kv_heads, -1, -1).flatten(1, 2)
        a = F.scaled_dot_product_attention(q, each(k), each(v), attn_mask=mask)
        x = x + self.o(a.transpose(1, 2).reshape(B, T, -1))
        y = F.rms_norm(x, (c.dim,), self.n2, c.eps)
        return x + self.down(F.silu(self.gate(y)) * self.up(y)), own


class Model(nn.Module):
    def __init__(self, c, embed, norm, blocks):
        super().__init__()
        self.c = c
        self.register_buffer("embed", embed)
        self.register_buffer("norm", norm)
        self.b = nn.ModuleList(blocks)
        self.register_buffer("inv", c.theta ** (-torch.arange(0, c.head_dim, 2).double() / c.head_dim), persistent=False)
        self.heads = nn.ParameterDict({h: nn.Parameter(torch.randn(SPACE, c.dim) / c.dim**0.5) for h in HEADS})
        self.scales = nn.ParameterDict({h: nn.Parameter(torch.tensor([16.0])) for h in SCALES})
        self.e = None

    def make_e(self):
        """Adds the virtual token e; its keys and values are zero, so that it begins by changing next to nothing."""
        c, kvd = self.c, self.c.kv_heads * self.c.head_dim
        self.e = nn.ParameterDict(dict(d=nn.Parameter(torch.randn(E_DIM, SPACE) / SPACE**0.5), k=nn.Parameter(torch.zeros(c.layers, kvd, E_DIM)),
                                       v=nn.Parameter(torch.zeros(c.layers, kvd, E_DIM))))

    def virtual(self, mean, dtype):
        """Keys and values of e in every layer for p̄ [B, R, SPACE]: a list of ([B, kv_heads, R, head_dim], …)."""
        c, h = self.c, mean.float() @ self.e["d"].T
        make = lambda w: torch.einsum("bre,lke->lbrk", h, w).to(dtype).view(c.layers, *mean.shape[:2], c.kv_heads, c.head_dim).transpose(2, 3)
        return list(zip(make(self.e["k"]), make(self.e["v"])))

    def forward(self, ids, pos, mask, past=None, until=None, tap=None):
        """The stack over ids [B, T] at pos [B, T]. Returns the normed states, the keys and values of each layer, and, where tap
        is a layer count, the residual stream after that many layers."""
        x, dt, tapped = F.embedding(ids, self.embed), self.embed.dtype, None
        f = pos[..., None].double() * self.inv
        f = torch.cat((f, f), -1)[:, None]
        cos, sin, kvs = f.cos().to(dt), f.sin().to(dt), []
        for i, block in enumerate(self.b[:until]):
            with torch.set_grad_enabled(torch.is_grad_enabled() and (i >= self.c.first or x.requires_grad or any(p.requires_grad for p in block.parameters()))):
                x, kv = block(x, cos, sin, mask, past[i] if past is not None else None)
            kvs.append(kv)
            if i + 1 == tap:
                tapped = x
        return F.rms_norm(x, (self.c.dim,), self.norm, self.c.eps), kvs, tapped

    def logits(self, h):
        return F.linear(h, self.embed)

    def pool(self, x, valid):
        """The reading: states [B, T, d], each divided by its root mean square, averaged over valid [B, T]."""
        x = x.float()
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c.eps)
        m = valid.float()[..., None]
        return (x * m).sum(1) / m.sum(1)

    def head(self, name, reading):
        return F.normalize(F.linear(reading, self.heads[name]), dim=-1)

    def trained(self):
        return [p for n, p in self.named_parameters() if n.startswith("b.")]


def unturn(w, heads):
    """GGUF keeps the two rows of a rotary pair side by side; here row j turns with row j + head_dim/2."""
    return w.reshape(heads, w.shape[0] // heads // 2, 2, w.shape[1]).transpose(1, 2).reshape(w.shape).contiguous()


def load(path, dtype=torch.bfloat16, **settings):
    """Reads a Llama-shaped GGUF."""
    reader = GGUFReader(path)
    tensors, get = {t.name: t for t in reader.tensors}, lambda key: reader.fields["llama." + key].contents()
    heads = get("attention.head_count")
    c = Config(preset="smol", layers=get("block_count"), dim=get("embedding_length"), heads=heads, kv_heads=get("attention.head_count_kv"),
               head_dim=get("embedding_length") // heads, ff=get("feed_forward_length"), vocab=len(tensors["token_embd.weight"].data),
               theta=get("rope.freq_base"), eps=get("attention.layer_norm_rms_epsilon"), head_layer=max(1, get("block_count") * 8 // 15))
    for k, v in settings.items():
        setattr(c, k, v)

    def tensor(name):
        t = tensors[name + ".weight"]
        return torch.from_numpy(np.ascontiguousarray(dequantize(t.data, t.tensor_type)).astype(np.float32)).view(*map(int, t.shape[::-1])).to(dtype)

    blocks = []
    for l in range(c.layers):
        w = {n: tensor(f"blk.{l}.{n}") for n in ("attn_norm", "ffn_norm", *LINEARS.values())}
        w["attn_q"], w["attn_k"] = unturn(w["attn_q"], c.heads), unturn(w["attn_k"], c.kv_heads)
        blocks.append(Block(c, w, l >= c.first))
    return Model(c, tensor("token_embd"), tensor("output_norm"), blocks)


def export(m, base, path, about=""):
    """Writes the adapter as safetensors, in bfloat16."""
    from safetensors.torch import save_file

    out, half = {}, torch.bfloat16
    for l, block in enumerate(m.b):
        for name in LINEARS:
            if (lin := getattr(block, name)).rank:
                out[f"layers.{l}.{name}.a"], out[f"layers.{l}.{name}.b"] = lin.a.detach().to(half), lin.b.detach().to(half)
        if m.e is not None:
            out[f"layers.{l}.e.k"], out[f"layers.{l}.e.v"] = (m.e[x][l].detach().to(half).contiguous() for x in "kv")
            out[f"layers.{l}.e.bias"] = torch.tensor([E_BIAS])
    if m.e is not None:
        out["e.d"] = m.e["d"].detach().to(half)
    for h in HEADS:
        out["heads." + h] = m.heads[h].detach().to(half)
    for h in SCALES:
        out["heads.scale." + h] = m.scales[h].detach().float()
    meta = dict(format="weave-adapter-1", base=hashlib.sha256(open(base, "rb").read()).hexdigest(), preset=m.c.preset, rank=str(m.c.rank), scale=str(m.c.scale),
                head_layer=str(m.c.head_layer), about=about)
    save_file({k: v.contiguous() for k, v in out.items()}, path, meta)


def apply(m, path):
    """Reads an adapter back, as export wrote it."""
    from safetensors import safe_open

    with safe_open(path, "pt") as f, torch.no_grad():
        names = set(f.keys())
        if "e.d" in names:
            m.make_e()
            m.e["d"].copy_(f.get_tensor("e.d"))
            for l in range(m.c.layers):
                for x in "kv":
                    m.e[x][l].copy_(f.get_tensor(f"layers.{l}.e.{x}"))
        for l, block in enumerate(m.b):
            for name in LINEARS:
                if (lin := getattr(block, name)).rank:
                    lin.a.copy_(f.get_tensor(f"layers.{l}.{name}.a"))
                    lin.b.copy_(f.get_tensor(f"layers.{l}.{name}.b"))
        for h in HEADS:
            m.heads[h].copy_(f.get_tensor("heads." + h))
        for h in SCALES:
            m.scales[h].copy_(f.get_tensor("heads.scale." + h))
    return m


def tokenizer(path):
    """The base's tokenizer, out of its GGUF."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    fields = GGUFReader(path).fields
    text = lambda name: [bytes(fields[name].parts[i]).decode() for i in fields[name].data]
    t = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(text("tokenizer.ggml.tokens"))}, merges=[tuple(m.split(" ")) for m in text("tokenizer.ggml.merges")]))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.decoder = decoders.ByteLevel()
    return t
