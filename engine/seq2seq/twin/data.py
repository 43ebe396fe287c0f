"""Dialogue files, characters and stories as packed training rows (see ../doc.go, "Positions and masks").

A row holds blocks; a block is one dialogue, or one line and its answer. Within it stand the encoder's turns and, for each reply
of the character, a decoder row that sees the turns before it, its own blend and the demonstrations that were chosen for it: written
exchanges near in topic and manner (near.py), each a block of the encoder's own.
"""

import glob
import gzip
import hashlib
import json
import math
import os
import random
import re

import torch
import yaml

from model import DEMO_END, E_BIAS, NEG, ORIGIN, PERSONA_MAX

ROW, SHOWN = 832, 260  # tokens of a row; of them, of demonstrations
LENGTHS = (128, 192, 256, 320, 384, 448, 512, 576, 640, 704, 768, 832)  # shapes stay few, so that memory is used again
SHORT = {"walkons3", "plain3", "grid3", "ladder3", "grounded3", "scenes3"}  # answers of the length that play wants
CHAT = "synthetic-persona-chat"


def read(path):
    with gzip.open(path, "rt", encoding="utf8") as f:
        return [json.loads(line) for line in f]


def pair_key(d):
    return hashlib.sha256(("\n".join(d["persona_a"]) + "\n\n" + "\n".join(d["persona_b"])).encode()).hexdigest()[:12]


def short_name(persona, description):
    """The character's first name, where its description tells it."""
    parts = set((persona or "").lower().split("-"))
    for word in description.replace(",", " ").replace(".", " ").replace("'", " ").split():
        if word[:1].isupper() and word.lower() in parts and len(word) > 2:
            return word
    return ""


def said(turn, blend, name=""):
    """A turn: "a" or "b", and after a colon the name of the one of several characters who speaks; its text; its blend."""
    who = turn["who"] + (":" + name if name else "")
    return who, turn["text"], None if turn["who"] == "a" else blend


def record(source, descs, name, blocks, persona):
    """descs: for each persona, the descriptions to choose from. blocks: [(scene, [(who, text, {persona index: weight})])]."""
    return dict(source=source, descs=descs, name=name, blocks=blocks, persona=persona)


def dialogues(stories, heldout):
    split = json.load(open(stories + "/dialogues/split.json"))["heldout"]
    for path in sorted(glob.glob(stories + "/dialogues/*.jsonl.gz")):
        source = os.path.basename(path).split(".")[0]
        held = set(split.get(source, ()))
        for d in read(path):
            if "lines" in d:  # a ladder
                p, q = d["personas"]["p"], d["personas"]["q"]
                key = p["id"] + "|" + q["id"]
                if (key in held) == heldout:
                    blocks = [("", [("a", x["you"], None), ("b", r["text"], {0: r["w"], 1: 1 - r["w"]})]) for x in d["lines"] for r in x["replies"]]
                    yield record(source, [[p["description"]], [q["description"]]], "", blocks, key)
            elif (d["persona"] in held) != heldout:
                continue
            elif "replies" in d:  # a grid
                blocks = [("", [("a", r["you"], None), ("b", r["says"], {0: 1.0})]) for r in d["replies"]]
                yield record(source, [d["persona_b"]], short_name(d["persona"], " ".join(d["persona_b"])), blocks, d["persona"])
            elif "personas" in d:  # blends turn by turn
                ids = list(d["personas"])
                named = lambda x: d["personas"][x["speaker"]].get("name", "").split(" ")[0] if "speaker" in x else ""
                turns = [said(x, {ids.index(k): w for k, w in (x.get("blend") or {x.get("speaker", ids[0]): 1.0}).items()}, named(x)) for x in d["turns"]]
                descs = [[d["personas"][k]["description"]] for k in ids]
                yield record(source, descs, short_name(d["persona"], descs[0][0]), [(d.get("context", ""), turns)], d["persona"])
            else:
                desc = " ".join(d["persona_b"])
                yield record(source, [[desc]], short_name(d["persona"], desc), [(d.get("context", ""), [said(x, {0: 1.0}) for x in d["turns"]])], d["persona"])


def chat(stories, path, heldout):
    held = set(json.load(open(stories + "/dialogues/split.json"))["heldout"][CHAT])
    for d in read(path):
        if (pair_key(d) in held) == heldout and d["persona_b"]:
            yield record("chat", [[" ".join(d["persona_b"])]], "", [("", [said(x, {0: 1.0}) for x in d["turns"]])], pair_key(d))


def cast(stories):
    """The written characters and stories, without what they hold out."""
    people, rng = {}, random.Random(8)
    for path in sorted(glob.glob(stories + "/personas/*.yaml")):
        y = yaml.safe_load(open(path, encoding="utf8"))
        people[y["id"]] = y
    lines = {i: [e["says"] for e in y.get("examples", []) if not e.get("heldout")] for i, y in people.items()}

    def descs(i, but=()):
        """What the Persona Encoder may read of a character: its description, paraphrases, or lines that it says elsewhere."""
        others = [x for x in lines[i] if x not in but]
        shown = ["Speaks like this: " + " ".join(f'"{x}"' for x in rng.sample(others, 4)) for _ in range(5) if len(others) >= 4]
        return [people[i]["description"]] * 4 + list(people[i]["descriptions"]) + shown

    name = lambda i: people[i]["name"].split()[0]
    answer = lambda e: [("a", e["you"], None), ("b", e["says"], {0: 1.0})]
    for i, y in people.items():
        own = [e for e in y.get("examples", []) if not e.get("heldout")]
        rng.shuffle(own)
        for at in range(0, len(own), 14):
            some = own[at : at + 14]
            yield record("cast", [descs(i, {e["says"] for e in some})], name(i), [("", answer(e)) for e in some], i)
        for d in y.get("dialogues", []):
            if d.get("heldout"):
                continue
            ids = [i] + sorted({k for t in d["turns"] for k in t.get("blend") or {} if k != i and k in people})
            turns = []
            for t in d["turns"]:
                blend = {ids.index(k): w for k, w in (t.get("blend") or {i: 1.0}).items() if k in ids}
                total = sum(blend.values())
                turns.append(said(t, {k: w / total for k, w in blend.items()} if total else {0: 1.0}))
            yield record("cast", [descs(k) for k in ids], name(i), [(d.get("scene", ""), turns)], i)
    for path in sorted(glob.glob(stories + "/library/*.yaml")):
        for scene in yaml.safe_load(open(path, encoding="utf8")).get("scenes", []):
            for i, examples in (scene.get("examples") or {}).items():
                for at in range(0, len(examples) if i in people else 0, 7):
                    yield record("cast", [descs(i)], name(i), [(scene["setting"].strip(), answer(e)) for e in examples[at : at + 7]], i)


def withheld(stories):
    """What the cast holds out, as records."""
    for path in sorted(glob.glob(stories + "/personas/*.yaml")):
        y = yaml.safe_load(open(path, encoding="utf8"))
        own = [e for e in y.get("examples", []) if e.get("heldout")]
        blocks = [[("", [("a", e["you"], None), ("b", e["says"], {0: 1.0})]) for e in own[at : at + 14]] for at in range(0, len(own), 14)]
        blocks += [[(d.get("scene", ""), [said(t, {0: 1.0}) for t in d["turns"]])] for d in y.get("dialogues", []) if d.get("heldout")]
        for some in blocks:
            yield record("cast", [[y["description"]]], y["name"].split()[0], some, y["id"])


OPENINGS, WHOLE, LONG = 40, 6, 6  # how many replies may begin with the same three words, be the same; words that nobody says by chance


def fold(text):
    """The words of a text, in small letters (engine.Fold)."""
    return " ".join(re.findall("[a-z0-9\x80-\U0010ffff]+", text.lower()))


def exchanges(records):
    """Each reply of the records: (record, block, turn, scene, the line that it answers, its text)."""
    for n, r in enumerate(records):
        for b, (scene, turns) in enumerate(r["blocks"]):
            line = ""
            for i, (who, text, blend) in enumerate(turns):
                if who == "a":
                    line = text.strip()
                elif blend is not None:
                    yield n, b, i, scene.strip(), line, text.strip()


def pick(records, heldout):
    """The records without what is not to be learned, and by source how many replies that is, for each of the reasons: "same" as one
    that is held out (to the same line, or LONG words or more), "duplicates" (to the same line), "stock" (more than OPENINGS that begin
    alike, or WHOLE alike). The cast's come first, public chat last, else the order is by hash: corpus.Pick draws the same.
    Within a dialogue, what was left out is still read: its blend is None."""
    records, secret, seen, begin, whole, out, why = list(records), set(), set(), {}, {}, set(), {}
    for *_, line, text in exchanges(heldout):
        secret.add((fold(line), fold(text)))
        if len(fold(text).split()) >= LONG:
            secret.add(fold(text))
    rank = lambda r: (r["source"] == "chat") - (r["source"] == "cast")
    key = lambda x: (rank(records[x[0]]), hashlib.sha256("\0".join((records[x[0]]["source"], records[x[0]]["persona"], *x[3:])).encode()).hexdigest())
    for n, b, i, _, line, text in sorted(exchanges(records), key=key):
        says = fold(text)
        first, pair = " ".join(says.split()[:3]), (fold(line), says)
        if pair in secret or says in secret:
            reason = "same"
        elif pair in seen:
            reason = "duplicates"
        elif begin.get(first, 0) >= OPENINGS or whole.get(says, 0) >= WHOLE:
            reason = "stock"
        else:
            seen.add(pair)
            begin[first], whole[says] = begin.get(first, 0) + 1, whole.get(says, 0) + 1
            continue
        out.add((n, b, i))
        some = why.setdefault(records[n]["source"], {})
        some[reason] = some.get(reason, 0) + 1
    kept = []
    for n, r in enumerate(records):
        blocks = []
        for b, (scene, turns) in enumerate(r["blocks"]):
            turns = [(who, text, None if (n, b, i) in out else blend) for i, (who, text, blend) in enumerate(turns)]
            while turns and turns[-1][2] is None:
                turns.pop()
            if turns:
                blocks.append((scene, turns))
        if blocks:
            kept.append(dict(r, blocks=blocks))
    return kept, why


class Encoder:
    """Turns as tokens."""

    def __init__(self, tokenizer):
        self.t, self.kept = tokenizer, {}
        self.start, self.end = (tokenizer.token_to_id(x) for x in ("<|im_start|>", "<|im_end|>"))

    def ids(self, text):
        if text not in self.kept:
            self.kept[text] = self.t.encode(text).ids
        return self.kept[text]

    def header(self, role, name=""):
        return [self.start] + self.ids(role + (" " + name if name else "") + "\n")

    def turn(self, role, text, name=""):
        return self.header(role, name) + self.ids(text.strip()) + [self.end] + self.ids("\n")

    def exchange(self, you, says):
        """A demonstration."""
        return self.turn("user", you) + self.turn("assistant", says)

    def persona(self, description):
        return self.turn("system", description)[:PERSONA_MAX]


def row(rec, enc, rng, most=ROW, named=None, shuffle=True, near=None):
    """One record as a row: per token its id, position, block, turn within the block, decoder row (−1: encoder), demonstration (−1:
    none) and whether it is learned; the blends of the decoder rows; a description for each persona; the reply of each decoder row,
    as (line, text); the demonstrations that each decoder row sees. near: where demonstrations come from, if there are any."""
    use = rng.random() < 0.5 if named is None else named
    out = dict(id=[], pos=[], blk=[], order=[], dec=[], demo=[], loss=[])
    blends, replies, shown, demos = [], [], [], {}

    def add(ids, at, block, order, dec, loss, demo=-1):
        out["id"] += ids
        out["pos"] += range(at, at + len(ids))
        for key, v in (("blk", block), ("order", order), ("dec", dec), ("demo", demo)):
            out[key] += [v] * len(ids)
        out["loss"] += loss

    def choose(line, text, room):
        """Up to three of the exchanges nearest to this one, those that the row has already before new ones."""
        wanted, got = rng.choice((1, 2, 3, 3)), []
        some = near.of(rec["persona"], line, text, rng)
        for x in sorted(some, key=lambda x: x not in demos):
            ids = enc.exchange(*x)
            if len(got) < wanted and len(ids) <= DEMO_END and (x in demos or out["demo"].count(-1) + SHOWN >= len(out["id"]) + len(ids) <= room):
                if x not in demos:
                    demos[x] = len(demos)
                    add(ids, DEMO_END - len(ids), -2 - demos[x], 0, -1, [0] * len(ids), demos[x])
                got.append(demos[x])
        return got

    order = list(range(len(rec["blocks"])))
    if shuffle:
        rng.shuffle(order)
    for b in order:
        scene, turns = rec["blocks"][b]
        at, n, line = ORIGIN, 0, ""
        if scene:
            ids = enc.turn("scene", scene)
            add(ids, at, b, n, -1, [0] * len(ids))
            at, n = at + len(ids), n + 1
        for i, (who, text, blend) in enumerate(turns):
            name = (who[2:] or rec["name"] if use or who[1:] else "") if who != "a" else ""
            ids = enc.turn("user" if who == "a" else "assistant", text, name)
            if len(out["id"]) + len(ids) * (1 if blend is None else 2) > most:
                break
            if who == "a":
                line = text
            elif blend is not None:  # else it is read, not learned (pick)
                shown.append(choose(line, text, most - 2 * len(ids)) if near and line else [])
                head, body = enc.header("assistant", name), enc.ids(text.strip()) + [enc.end]
                add(head + body, at, b, n, len(blends), [0] * len(head) + [1] * len(body))
                blends.append(blend)
                replies.append((line, text))
            if i + 1 < len(turns):
                add(ids, at, b, n, -1, [0] * len(ids))
            at, n = at + len(ids), n + 1
        if len(out["id"]) > most - 40:
            break
    return out, blends, [enc.persona(rng.choice(d)) for d in rec["descs"]], replies, shown


def fit(n, sizes):
    return next((s for s in sizes if s >= n), n)


def personas(descs, exact=False):
    """Descriptions, right-aligned: tokens [P, n], validity, positions, causal mask [P, 1, n, n]."""
    n = max(map(len, descs))
    n = n if exact else fit(n, (24, 48, 80, 120))
    ids, valid = torch.full((len(descs), n), 2), torch.zeros(len(descs), n, dtype=torch.bool)
    for i, d in enumerate(descs):
        ids[i, n - len(d) :], valid[i, n - len(d) :] = torch.tensor(d), True
    see = torch.ones(n, n).tril().bool()[None] & valid[:, None] | torch.eye(n).bool()
    return ids, valid, torch.arange(ORIGIN - n, ORIGIN)[None].expand(len(descs), n), torch.zeros(see.shape).masked_fill(~see, NEG)[:, None]


def collate(rows, null, slots, virtual=False, exact=False):
    """A batch of rows; null[i]: row i is learned without its personas. slots is J, the same for the whole batch."""
    B, longest = len(rows), max(len(r[0]["id"]) for r in rows)
    T = longest if exact else fit(longest, LENGTHS)
    get = lambda key, pad: torch.tensor([r[0][key] + [pad] * (T - len(r[0][key])) for r in rows])
    ids, pos, blk, order, dec, loss, demo = get("id", 2), get("pos", 0), get("blk", -1), get("order", 0), get("dec", -1), get("loss", 0), get("demo", -1)
    i = torch.arange(T)
    key_enc, query_enc, causal = (dec == -1)[:, None], (dec == -1)[:, :, None], i[:, None] >= i
    see = (blk[:, :, None] == blk[:, None]) & (
        query_enc & key_enc & causal | ~query_enc & key_enc & (order[:, None] < order[:, :, None]) | ~query_enc & (dec[:, :, None] == dec[:, None]) & causal)
    sees = torch.zeros(B, 1 + max(len(r[1]) for r in rows), 2 + int(demo.max())).bool()
    for b, r in enumerate(rows):
        for k, some in enumerate(r[4]):
            sees[b, 1 + k, [1 + x for x in some]] = True
    each = torch.arange(B)[:, None, None]
    see |= sees[each, 1 + dec[:, :, None], 1 + demo[:, None]]
    see |= torch.eye(T).bool()
    parts = [torch.zeros(B, T, T).masked_fill(~see, NEG)]
    pid, pvalid, ppos, pmask = personas([d for r in rows for d in r[2] + [[2]] * (slots - len(r[2]))], exact)
    n, R = pid.shape[1], max(len(r[1]) for r in rows)
    own, weights, e = torch.full((B, T, slots, n), NEG), torch.zeros(B, R, slots), torch.full((B, T, R), NEG)
    for b, r in enumerate(rows):
        for k, blend in enumerate(r[1]):
            at = (dec[b] == k).nonzero()[:, 0]
            if not null[b]:
                e[b, at, k] = E_BIAS
            for j, w in blend.items():
                weights[b, k, j] = w
                if w > 0 and not null[b]:
                    own[b, at[:, None], j, pvalid[b * slots + j].nonzero()[:, 0][None]] = math.log(w)
    parts.insert(0, own.flatten(2))
    if virtual:
        parts.insert(1, e)
    return dict(ids=ids, pos=pos, dec=dec, loss=loss, mask=torch.cat(parts, 2)[:, None], pid=pid, pvalid=pvalid, ppos=ppos, pmask=pmask, weights=weights, slots=slots, virtual=virtual)


def forward(m, b):
    """Normed states [B, T, d] of a batch, and the readings of its personas [B·J, d]."""
    dt, J, B = m.embed.dtype, b["slots"], len(b["ids"])
    _, kv, x = m(b["pid"], b["ppos"], b["pmask"].to(dt), tap=m.c.head_layer)
    reading = m.pool(x, b["pvalid"])
    past = [tuple(z.view(B, J, *z.shape[1:]).transpose(1, 2).flatten(2, 3) for z in l) for l in kv]
    if b["virtual"]:
        p = m.head("persona", reading).view(B, J, -1)
        e = m.virtual(b["weights"] @ p, dt)
        past = [(torch.cat((k, ek), 2), torch.cat((v, ev), 2)) for (k, v), (ek, ev) in zip(past, e)]
    return m(b["ids"], b["pos"], b["mask"].to(dt), past)[0], reading


TIMES = {"chat": 1, "cast": 0.6, "walkons": 0.3, "walkons2": 0.3}  # how often a source is read in a pass; of the SHORT ones once, of others 0.6


def times(source):
    return TIMES.get(source, 1 if source in SHORT else 0.6)


def epoch(records, enc, seed, tokens=5120, share=0.08, near=None):
    """Batches of one pass over the records, each source as often as TIMES says, chat a share of all; half of them with demonstrations."""
    rng, ours, public = random.Random(seed), [], []
    for r in records:
        n = times(r["source"])
        (public if r["source"] == "chat" else ours).extend([r] * (int(n) + (rng.random() < n - int(n))))
    rows = [(row(r, enc, rng, near=near if rng.random() < 0.5 else None), len(r["descs"])) for r in ours]
    left = share / (1 - share) * sum(len(x[0]["id"]) for x, _ in rows)
    rng.shuffle(public)
    for r in public:
        if left <= 0:
            break
        x = row(r, enc, rng, 512)
        left -= len(x[0]["id"])
        rows.append((x, 1))
    groups, batches = {}, []
    for x, slots in rows:
        if any(x[0]["loss"]):
            groups.setdefault(slots, []).append(x)
    for slots, xs in groups.items():
        rng.shuffle(xs)
        for at in range(0, len(xs), 64):
            batch = []
            for x in sorted(xs[at : at + 64], key=lambda x: len(x[0]["id"])):
                if batch and fit(len(x[0]["id"]), LENGTHS) * (len(batch) + 1) > tokens:
                    batches.append((slots, batch))
                    batch = []
                batch.append(x)
            batches.append((slots, batch))
    rng.shuffle(batches)
    return batches


def count(stories, path=None, share=0.08):
    """What goes into training, by source, as `weave train data --json` prints it; path: the public persona chat."""
    import model

    enc = Encoder(model.tokenizer(os.path.dirname(os.path.abspath(__file__)) + "/../../weights/SmolLM2-135M-Instruct.Q4_1.gguf"))
    records, heldout = [*dialogues(stories, False), *cast(stories)], [*dialogues(stories, True), *withheld(stories)]
    if path:
        records, heldout = records + list(chat(stories, path, False)), heldout + list(chat(stories, path, True))
    kept, why = pick(records, heldout)
    rows = {s: dict(source=s, records=0, replies=0, tokens=0, context=0, heldout=0, duplicates=0, stock=0, same=0) for s in sorted({r["source"] for r in records + heldout})}
    size = lambda text: len(enc.ids(text.strip()))
    for what, some in (("records", records), ("heldout", heldout)):
        for r in some:
            rows[r["source"]][what] += 1
    for s, some in why.items():
        rows[s].update(some)
    for r in kept:
        x = rows[r["source"]]
        for scene, turns in r["blocks"]:
            x["context"] += size(scene)
            for _, text, blend in turns:
                x["context" if blend is None else "tokens"] += size(text)
                x["replies"] += blend is not None
    read = {s: (x["tokens"] + x["context"]) * times(s) for s, x in rows.items()}
    ours = sum(v for s, v in read.items() if s != "chat")
    if "chat" in read:
        read["chat"] = min(read["chat"], share / (1 - share) * ours)
    for s, x in rows.items():
        x["share"] = round(read[s] / sum(read.values()), 3)
    return list(rows.values())


if __name__ == "__main__":
    import argparse

    ap = argparse.ArgumentParser(description="Prints what goes into training, as `weave train data --json` does.")
    ap.add_argument("--chat", help="the public persona chat")
    print(json.dumps(dict(sources=count(os.path.dirname(os.path.abspath(__file__)) + "/../../../stories", ap.parse_args().chat)), indent=2))
