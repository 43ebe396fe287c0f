"""Trains the heads on frozen features: what the encoder and the decoder make of replies, lines and descriptions.

    reply · response    what should be said next, against what was said           (in-batch InfoNCE, both ways)
    line · response     what was asked, against what was said to it
    voice · persona     who says a reply, against the descriptions of many characters; the targets are the blend's weights
"""

import json
import random
import time

import torch
import torch.nn.functional as F

import data
from model import ORIGIN


def readings(m, turns, batch=4096):
    """The readings [len(turns), d] of turns read alone at ORIGIN, each given as tokens."""
    out, order = [None] * len(turns), sorted(range(len(turns)), key=lambda i: len(turns[i]))
    at = 0
    with torch.no_grad():
        while at < len(order):
            T = data.fit(len(turns[order[at]]), range(16, 257, 16))
            some = [i for i in order[at : at + max(1, batch // T)] if len(turns[i]) <= T]
            at += len(some)
            ids, valid = torch.full((len(some), T), 2), torch.zeros(len(some), T, dtype=torch.bool)
            for k, i in enumerate(some):
                ids[k, : len(turns[i])], valid[k, : len(turns[i])] = torch.tensor(turns[i]), True
            mask = torch.zeros(T, T).masked_fill(~torch.ones(T, T).tril().bool(), -1e4)[None, None].to(m.embed.dtype)
            x = m(ids, torch.arange(ORIGIN, ORIGIN + T)[None].expand(len(some), T), mask, until=m.c.head_layer, tap=m.c.head_layer)[2]
            for i, r in zip(some, m.pool(x, valid)):
                out[i] = r
    return torch.stack(out)


def descriptions(m, descs):
    """The readings [len(descs), d] of descriptions, read where personas are read."""
    out = []
    with torch.no_grad():
        for at in range(0, len(descs), 64):
            ids, valid, pos, mask = data.personas(descs[at : at + 64])
            out.append(m.pool(m(ids, pos, mask.to(m.embed.dtype), until=m.c.head_layer, tap=m.c.head_layer)[2], valid))
    return torch.cat(out)


def features(m, enc, records, tokens, seed, near=None):
    """What the heads see, for the replies of records up to a number of tokens: the decoder's state (half of the time with
    demonstrations, where there are any), the replies' and the lines' readings, the descriptions' readings, and for each reply its blend
    over the descriptions."""
    rng, rows, total = random.Random(seed), [], 0
    records = list(records)
    rng.shuffle(records)
    for r in records:
        if total > tokens:
            break
        x = data.row(r, enc, rng, near=near if rng.random() < 0.5 else None)
        if x[1]:
            rows.append((len(r["descs"]), x))
            total += len(x[0]["id"])
    rows.sort(key=lambda x: (x[0], len(x[1][0]["id"])))
    states, spoken = [], []
    at = 0
    with torch.no_grad():
        while at < len(rows):
            slots, T = rows[at][0], data.fit(len(rows[at][1][0]["id"]), data.LENGTHS)
            some = [x for s, x in rows[at : at + max(1, 5120 // T)] if s == slots]
            at += len(some)
            b = data.collate(some, [False] * len(some), slots)
            h, _ = data.forward(m, b)
            for i, x in enumerate(some):
                loss, dec = b["loss"][i], b["dec"][i]
                for k, (line, text) in enumerate(x[3]):
                    states.append(h[i, ((dec == k) & (loss == 1)).nonzero()[0, 0] - 1].float())
                    spoken.append((line, text, {tuple(x[2][j]): w for j, w in x[1][k].items()}))
    return dict(read(m, enc, spoken), states=torch.stack(states))


def read(m, enc, spoken):
    """The readings of what was said, for each reply (the line before it, its text, its blend: the weight of each description's tokens)."""
    known, blends, same = {}, [], {}
    for i, (_, text, blend) in enumerate(spoken):
        same.setdefault(text, i)
        for d in blend:
            known.setdefault(d, len(known))
        blends.append({known[d]: w for d, w in blend.items() if w > 0})
    return dict(said=readings(m, [enc.turn("assistant", text)[:256] for _, text, _ in spoken]), asked=readings(m, [enc.turn("user", line)[:256] for line, _, _ in spoken]),
                descs=descriptions(m, [list(d) for d in known]), blends=blends, same=torch.tensor([same[text] for _, text, _ in spoken]))


def alone(m, enc, records, most, seed):
    """What needs no decoder, and so is cheap: the readings of replies and of the lines before them, of up to `most` replies, with
    their descriptions and blends. No states."""
    rng, some = random.Random(seed), []
    for r in records:
        for _, turns in r["blocks"]:
            line = ""
            for who, text, blend in turns:
                if who == "a":
                    line = text
                elif blend is not None and line:
                    some.append((r["descs"], line, text, blend))
    some = rng.sample(some, min(most, len(some)))
    return read(m, enc, [(line, text, {tuple(enc.persona(rng.choice(descs[j]))): w for j, w in blend.items()}) for descs, line, text, blend in some])


def join(f, g):
    """The features of both."""
    n, k = len(f["said"]), len(f["descs"])
    out = {key: torch.cat((f[key], g[key])) for key in ("states", "said", "asked", "descs") if key in f}
    return dict(out, blends=f["blends"] + [{d + k: w for d, w in b.items()} for b in g["blends"]], same=torch.cat((f["same"], g["same"] + n)))


def contrast(a, b, scale, same):
    """InfoNCE both ways; equal texts are no negatives of each other."""
    s = a @ b.T * scale
    s = s.masked_fill((same[:, None] == same[None]) & ~torch.eye(len(a)).bool(), -1e4)
    t = torch.arange(len(a))
    return (F.cross_entropy(s, t) + F.cross_entropy(s.T, t)) / 2


def losses(m, f, idx, drop=0.0):
    z = lambda x: F.dropout(x, drop)
    response, out = m.head("response", z(f["said"][idx])), {}
    if "states" in f:
        out["reply"] = contrast(m.head("reply", z(f["states"][idx])), response, m.scales["reply"], f["same"][idx])
    out.update(line=contrast(m.head("line", z(f["asked"][idx])), response, m.scales["line"], f["same"][idx]))
    used = sorted({d for i in idx.tolist() for d in f["blends"][i]})
    where, target = {d: k for k, d in enumerate(used)}, torch.zeros(len(idx), len(used))
    for k, i in enumerate(idx.tolist()):
        for d, w in f["blends"][i].items():
            target[k, where[d]] = w
    score = m.head("voice", z(f["said"][idx])) @ m.head("persona", z(f["descs"][used])).T * m.scales["voice"]
    out["voice"] = -(target * F.log_softmax(score, -1)).sum(-1).mean()
    return out


def top1(m, f, among=20, seed=3):
    """How often the right one of `among` is nearest: the reply for a state, the description for a reply."""
    g = torch.Generator().manual_seed(seed)
    n, hits, voices = len(f["said"]), [], []
    reply, response = m.head("reply", f["states"]), m.head("response", f["said"])
    voice, persona = m.head("voice", f["said"]), m.head("persona", f["descs"])
    for i in range(n):
        others = torch.randperm(n, generator=g)[:among]
        others = others[f["same"][others] != f["same"][i]][: among - 1]
        hits.append(bool((reply[i] @ response[i] > response[others] @ reply[i]).all()))
        if len(f["blends"][i]) == 1:
            d = next(iter(f["blends"][i]))
            rest = torch.randperm(len(persona), generator=g)
            rest = rest[rest != d][:9]
            voices.append(bool((voice[i] @ persona[d] > persona[rest] @ voice[i]).all()))
    return dict(hits1_20=sum(hits) / len(hits), persona_top1_10=sum(voices) / max(1, len(voices)), replies=n)


def train(m, enc, records, heldout, chat, near, args, steps=2000, batch=512):
    """chat: public records to train on and held-out ones, read for half as many tokens."""
    t = time.time()
    f, held = features(m, enc, records, args.tokens, 1, near), features(m, enc, heldout, args.tokens / 8, 2)
    if chat[0]:
        f, apart = join(f, features(m, enc, chat[0], args.tokens / 2, 3)), features(m, enc, chat[1], args.tokens / 12, 4)
    more = alone(m, enc, records, args.replies, 5)
    print(json.dumps(dict(states=len(f["said"]), replies=len(more["said"]), descriptions=len(more["descs"]), seconds=round(time.time() - t))), flush=True)
    params = [p.requires_grad_() for p in [*m.heads.parameters(), *m.scales.parameters()]]
    opt = torch.optim.AdamW([dict(params=[*m.heads.parameters()], weight_decay=0.05), dict(params=[*m.scales.parameters()], weight_decay=0, lr=0.1)], lr=2e-3)
    best, kept, g = {}, {}, torch.Generator().manual_seed(1)
    for step in range(steps + 1):
        if step % 100 == 0:
            with torch.no_grad():
                now = top1(m, held)
                loss = {k: round(v.item(), 3) for k, v in losses(m, held, torch.arange(min(batch, len(held["said"])))).items()}
            score = dict(reply=now["hits1_20"], voice=now["persona_top1_10"])
            if chat[0]:
                now["chat"] = top1(m, apart)
                score["reply"] += now["chat"]["hits1_20"]
            for group, names in (("reply", ("reply", "response", "line")), ("voice", ("voice", "persona"))):  # each as it was at its best
                if score[group] > best.get(group, -1):
                    best[group] = score[group]
                    kept.update({k: v.detach().clone() for k, v in m.state_dict().items() if k.startswith(("heads.", "scales.")) and k.rsplit(".", 1)[1] in names})
            print(json.dumps(dict(step=step, heldout=now, loss=loss, scales={k: round(v.item(), 1) for k, v in m.scales.items()})), flush=True)
        draw = lambda x: torch.randperm(len(x["said"]), generator=g)[:batch]
        total = losses(m, f, draw(f), 0.2)["reply"] + sum(losses(m, more, draw(more), 0.2).values())
        total.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.param_groups[0]["lr"] = 2e-3 * (1 - step / (steps + 1))
        opt.step()
        opt.zero_grad(set_to_none=True)
        with torch.no_grad():
            for s in m.scales.values():
                s.clamp_(4, 40)
    m.load_state_dict(kept, strict=False)
