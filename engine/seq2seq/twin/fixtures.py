"""Makes what the Go tests compare with, in float32.

    python3 fixtures.py tiny ../testdata            # trains a tiny model and writes it with its values
    python3 fixtures.py smol ../testdata [ADAPTER]  # the likeliest token at 1,000 positions of held-out replies, by the shipped model
"""

import gzip
import json
import os
import random
import sys

import gguf
import numpy as np
import torch
import torch.nn.functional as F

import data
import heads
import model
import train
from model import DEMO_END, NEG, ORIGIN

NAMES = dict(attn_norm="n1", ffn_norm="n2")


def learn_bpe(texts, size):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return json.loads(t.to_str())["model"]


def write_gguf(path, c, bpe, m=None):
    """A Llama-shaped GGUF in float32; without a model, one of random weights."""
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("weave tiny")
    w.add_block_count(c.layers), w.add_context_length(1024), w.add_embedding_length(c.dim), w.add_feed_forward_length(c.ff)
    w.add_head_count(c.heads), w.add_head_count_kv(c.kv_heads), w.add_key_length(c.head_dim), w.add_value_length(c.head_dim), w.add_rope_dimension_count(c.head_dim)
    w.add_rope_freq_base(c.theta), w.add_layer_norm_rms_eps(c.eps), w.add_vocab_size(c.vocab)
    words = sorted(bpe["vocab"], key=bpe["vocab"].get)
    w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre("smollm"), w.add_token_list(words), w.add_token_types([3] * 3 + [1] * (len(words) - 3))
    w.add_token_merges([" ".join(x) if isinstance(x, list) else x for x in bpe["merges"]])
    rng = np.random.default_rng(3)

    def turned(x, heads):  # the inverse of model.unturn
        return x.reshape(heads, 2, x.shape[0] // heads // 2, x.shape[1]).swapaxes(1, 2).reshape(x.shape)

    def put(name, shape, value, one=False):
        x = value.detach().numpy() if value is not None else np.ones(shape) if one else rng.standard_normal(shape) / shape[-1] ** 0.5
        if name.endswith(("attn_q", "attn_k")):
            x = turned(x, c.heads if name.endswith("q") else c.kv_heads)
        w.add_tensor(name + ".weight", np.ascontiguousarray(x, dtype=np.float32))

    put("token_embd", (c.vocab, c.dim), m and m.embed)
    put("output_norm", (c.dim,), m and m.norm, True)
    q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    shapes = dict(attn_q=(q, c.dim), attn_k=(kv, c.dim), attn_v=(kv, c.dim), attn_output=(c.dim, q), ffn_gate=(c.ff, c.dim), ffn_up=(c.ff, c.dim), ffn_down=(c.dim, c.ff))
    for l in range(c.layers):
        for part, own in NAMES.items():
            put(f"blk.{l}.{part}", (c.dim,), m and getattr(m.b[l], own), True)
        for own, part in model.LINEARS.items():
            put(f"blk.{l}.{part}", shapes[part], m and getattr(m.b[l], own).w)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file()
    w.close()


def moment(m, enc, scene, turns, blend, name, shown, reply, null=False):
    """The forward pass of one decoder row, as play has it: the states of "assistant NAME\\n" reply, [tokens, d]."""
    ids, dec = enc.turn("scene", scene) if scene else [], []
    for who, text in turns:
        ids += enc.turn("user" if who == "a" else "assistant", text, "" if who == "a" else name)
    dec = enc.header("assistant", name) + reply
    T, n = len(ids) + len(dec), len(ids)
    descs = [enc.persona(d) for d, _ in blend]
    pid, valid, ppos, pmask = data.personas(descs, exact=True)
    _, kv, x = m(pid, ppos, pmask, tap=m.c.head_layer)
    p = m.head("persona", m.pool(x, valid))
    past = [tuple(z.transpose(0, 1).flatten(1, 2)[None] for z in l) for l in kv]
    own = torch.full((T, len(descs), pid.shape[1]), NEG)
    e = torch.full((T, 1), NEG)
    if not null:
        e[n:] = model.E_BIAS
        for j, (_, w) in enumerate(blend):
            if w > 0:
                own[n:, j, valid[j]] = float(np.log(w))
    parts = [own.flatten(1)]
    if m.e is not None:
        k = m.virtual((torch.tensor([[w for _, w in blend]]) @ p)[:, None][0][None], m.embed.dtype)
        past = [(torch.cat((a, c), 2), torch.cat((b, d), 2)) for (a, b), (c, d) in zip(past, k)]
        parts.append(e)
    for x in shown:
        demo = enc.exchange(*x)
        k = len(demo)
        _, kv, _ = m(torch.tensor([demo]), torch.arange(DEMO_END - k, DEMO_END)[None], torch.zeros(k, k).masked_fill(~torch.ones(k, k).tril().bool(), NEG)[None, None])
        past = [(torch.cat((a, c), 2), torch.cat((b, d), 2)) for (a, b), (c, d) in zip(past, kv)]
        parts.append(torch.full((T, k), NEG))
        parts[-1][n:] = 0
    parts.append(torch.zeros(T, T).masked_fill(~torch.ones(T, T).tril().bool(), NEG))
    h, _, _ = m(torch.tensor([ids + dec]), torch.arange(ORIGIN, ORIGIN + T)[None], torch.cat(parts, 1)[None, None], past)
    return h[0, n:], p


def greedy(m, enc, *where, most=40):
    reply = []
    head = len(enc.header("assistant", where[3]))
    while len(reply) < most:
        h, _ = moment(m, enc, *where, reply)
        l = m.logits(h[-1])
        l[:2] = NEG
        if int(l.argmax()) == enc.end:
            break
        reply.append(int(l.argmax()))
    return reply, head


def train_tiny(path, c, bpe, settings, records, to):
    m = model.load(path, torch.float32, **settings)
    for block in m.b:
        for own in model.LINEARS:
            lin = getattr(block, own)
            lin.w = torch.nn.Parameter(lin._buffers.pop("w"))
    m.embed, m.norm = torch.nn.Parameter(m._buffers.pop("embed")), torch.nn.Parameter(m._buffers.pop("norm"))
    m.make_e()
    enc = data.Encoder(model.tokenizer(path))
    opt = torch.optim.AdamW(m.parameters(), lr=3e-3)
    rng = random.Random(1)
    for step in range(400):
        rows = [data.row(r, enc, rng, 320) for r in rng.sample(records, 6)]
        b = data.collate(rows, [False] * 6, max(len(r[2]) for r in rows), True)
        h, reading = data.forward(m, b)
        learned = b["loss"][:, 1:] > 0
        loss = F.cross_entropy(m.logits(h[:, :-1][learned]), b["ids"][:, 1:][learned])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
        if step % 50 == 0:
            print(step, loss.item(), flush=True)
    write_gguf(path, c, bpe, m)
    model.export(m, path, to + "/tiny-adapter.safetensors", "a test fixture")


def tiny(to):
    os.makedirs(to, exist_ok=True)
    torch.manual_seed(7)
    records = [r for r in data.dialogues(train.STORIES, False) if r["source"] in ("grid3", "plain3")][:60]
    texts = [x for r in records for d in r["descs"] for x in d] + [t[1] for r in records for _, ts in r["blocks"] for t in ts]
    bpe = learn_bpe(texts, 512)
    c = model.Config("tiny", 4, 96, 6, 2, 16, 192, len(bpe["vocab"]), 10000.0, 1e-5, 2, rank=4, scale=2.0, first=1)
    path = to + "/tiny.gguf"
    settings = dict(preset="tiny", head_layer=2, rank=4, first=1)
    if not os.path.exists(to + "/tiny-adapter.safetensors"):
        write_gguf(path, c, bpe)
        train_tiny(path, c, bpe, settings, records, to)
    m = model.apply(model.load(path, torch.float32, **settings), to + "/tiny-adapter.safetensors")
    enc = data.Encoder(model.tokenizer(path))
    cases, lines = [], [ts[0][1] for r in records for _, ts in r["blocks"] if len(ts) == 2]
    people, tried = [r["descs"][0][0] for r in records], 0
    with torch.no_grad():
        while len(cases) < 4:
            rng = random.Random(tried)
            tried += 1
            line, other, d0, d1 = rng.choice(lines), rng.choice(lines), rng.choice(people), rng.choice(people)
            scene, turns, blend, name, shown = (
                ("", [("a", line)], [(d0, 1.0)], "", []),
                ("A quiet room by the harbour.", [("a", line), ("b", "I would rather not say."), ("a", other)], [(d0, 0.3), (d1, 0.7)], "Wren", []),
                ("", [("a", other)], [(d0, 0.0), (d1, 1.0)], "", []),
                ("", [("a", other)], [(d0, 0.5), (d1, 0.5)], "Wren", [(rng.choice(lines), "No."), (line, "I would rather not say.")]),
            )[len(cases)]
            reply, n = greedy(m, enc, scene, turns, blend, name, shown)
            text = enc.t.decode(reply)
            h, p = moment(m, enc, scene, turns, blend, name, shown, reply)
            two = m.logits(h[n - 1 :]).topk(2).values
            margin = (two[:, 0] - two[:, 1]).min().item()
            if not 4 <= len(reply) < 40 or enc.ids(text) != reply or margin < 0.25:
                continue  # int8 may turn a near tie, and text that is split another way is another reply
            null, _ = moment(m, enc, scene, turns, blend, name, shown, [], null=True)
            logp = F.log_softmax(m.logits(h[n - 1 :]), -1)
            total = sum(logp[i, t].item() for i, t in enumerate(reply + [enc.end]))
            cases.append(dict(scene=scene, turns=[dict(who=w, text=t) for w, t in turns], blend=[dict(description=d, weight=w) for d, w in blend], name=name, shown=shown, reply=text, ids=reply,
                              state=h[n - 1].tolist(), logits=m.logits(h[n - 1]).tolist(), null_logits=m.logits(null[-1]).tolist(), logprob=total, p=p.tolist(),
                              reply_vector=m.head("reply", h[n - 1]).tolist()))
            print(text, "| least margin", round(margin, 2), "after", tried, "tries", flush=True)
        said, asked = heads.readings(m, [enc.turn("assistant", line)])[0], heads.readings(m, [enc.turn("user", line)])[0]
        out = dict(cases=cases, reading=dict(text=line, response=m.head("response", said).tolist(), voice=m.head("voice", said).tolist(), line=m.head("line", asked).tolist()))
    with gzip.GzipFile(to + "/tiny.json.gz", "wb", mtime=0) as f:
        f.write(json.dumps(out).encode())


def smol(to, adapter=train.HERE + "/../../weights/shipped/adapter.safetensors"):
    m = model.apply(model.load(train.BASE, torch.float32), adapter) if os.path.exists(adapter) else model.load(train.BASE, torch.float32)
    enc, rng, cases, n = data.Encoder(model.tokenizer(train.BASE)), random.Random(9), [], 0
    records = [r for r in data.dialogues(train.STORIES, True) if sum(t[0] == "b" for t in r["blocks"][0][1]) >= 2]
    rng.shuffle(records)
    with torch.no_grad():
        for r in records:
            scene, turns = r["blocks"][0]
            i = rng.choice([i for i, t in enumerate(turns) if t[0] == "b"])
            blend = [(r["descs"][j][0], w) for j, w in turns[i][2].items()]
            reply = enc.ids(turns[i][1].strip())[: 1000 - n]
            before = [(w, t) for w, t, _ in turns[:i]]
            h, _ = moment(m, enc, scene, before, blend, r["name"], [], reply)
            first = len(enc.header("assistant", r["name"])) - 1
            top = m.logits(h[first : first + len(reply)]).argmax(-1).tolist()
            cases.append(dict(scene=scene, turns=[dict(who=w, text=t) for w, t in before], blend=[dict(description=d, weight=w) for d, w in blend], name=r["name"], ids=reply, top=top))
            n += len(reply)
            if n >= 1000:
                break
    with gzip.GzipFile(to + "/smol.json.gz", "wb", mtime=0) as f:
        f.write(json.dumps(cases, ensure_ascii=False).encode())
    print(n, "positions of", len(cases), "replies")


if __name__ == "__main__":
    {"tiny": tiny, "smol": smol}[sys.argv[1]](*sys.argv[2:])
