"""Draw the held-out split (DESIGN section 6) once and write stories/dialogues/split.json.

usage: python split.py DIALOGUES_DIR PERSONA_CHAT.jsonl.gz > stories/dialogues/split.json

One in ten of our dialogues and grids is held out by persona, 10 of the 80 ladders by pair, a fifth of the public persona
chat by persona pair. A key is drawn by a seeded shuffle, so that the file can be made again and compared.
The held-out lines of the cast are marked in their own files (`heldout: true`).
"""
import glob, gzip, hashlib, json, os, random, sys


def read(path):
    with gzip.open(path, "rt", encoding="utf8") as f:
        return [json.loads(line) for line in f]


def pair_key(d):
    """A persona pair of the public chat: both sides' sentences, in order, hashed."""
    text = "\n".join(d["persona_a"]) + "\n\n" + "\n".join(d["persona_b"])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def ladder_key(d):
    return d["personas"]["p"]["id"] + "|" + d["personas"]["q"]["id"]


def main():
    folder, chat = sys.argv[1:3]
    rnd = random.Random(20261124)
    out, ladders = {}, []
    for path in sorted(glob.glob(os.path.join(folder, "*.jsonl.gz"))):
        name = os.path.basename(path).split(".")[0]
        ds = read(path)
        if "lines" in ds[0]:
            ladders += [(name, ladder_key(d)) for d in ds]
            continue
        keys = sorted({d["persona"] for d in ds})
        rnd.shuffle(keys)
        out[name] = sorted(keys[: max(1, round(len(keys) / 10))])
    rnd.shuffle(ladders)
    for name, key in ladders[:10]:
        out.setdefault(name, []).append(key)
    keys = sorted({pair_key(d) for d in read(chat)})
    rnd.shuffle(keys)
    out["synthetic-persona-chat"] = keys[: round(len(keys) / 5)]
    for k in out:
        out[k].sort()
    json.dump({"seed": 20261124, "heldout": out}, sys.stdout, indent=0, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
