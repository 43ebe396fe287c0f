"""Tunes the adapter in three stages, each from the checkpoint of the one before, and exports it.

    python3 train.py tune    --minutes 80 --chat synthetic-persona-chat.jsonl.gz   # the low-rank updates, by likelihood
    python3 train.py heads   --tokens 250000                                       # the heads, contrastive, the rest frozen
    python3 train.py virtual --minutes 8                                           # the virtual token e, the rest frozen
    python3 train.py export  --to ../../weights/shipped/adapter.safetensors

Checkpoints, metrics (JSON lines) and nothing else go to --out; a stage that was cut off goes on where it was.
"""

import argparse
import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
if os.environ.get("MALLOC_MMAP_MAX_") != "0":  # batches of varying shape grow the heap without end otherwise
    os.environ.update(MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_="100000000000", MALLOC_TOP_PAD_="268435456")
    os.execv(sys.executable, [sys.executable] + sys.argv)

import torch
import torch.nn.functional as F

import data
import heads
import model
import near

BASE = HERE + "/../../weights/SmolLM2-135M-Instruct.Q4_1.gguf"
STORIES = HERE + "/../../../stories"


def reply_loss(m, b, reduction="mean"):
    h, _ = data.forward(m, b)
    learned = b["loss"][:, 1:] > 0
    h, want = h[:, :-1][learned], b["ids"][:, 1:][learned]
    n = len(want)
    pad = -n % 256  # few shapes: see LENGTHS
    loss = F.cross_entropy(m.logits(F.pad(h, (0, 0, 0, pad))).float(), F.pad(want, (0, pad), value=-100), reduction=reduction)
    return loss if reduction == "mean" else loss[:n]


def resident():
    """Gigabytes of memory in use."""
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9


def written(chat=None):
    """What is trained on; chat: the public persona chat."""
    both = [[*data.dialogues(STORIES, held), *(data.withheld if held else data.cast)(STORIES), *(data.chat(STORIES, chat, held) if chat else [])] for held in (False, True)]
    return data.pick(*both)[0]


class Heldout:
    """Mean loss per token on dialogues of held-out characters, with persona and without."""

    def __init__(self, enc, virtual):
        records = [r for r in data.dialogues(STORIES, True) if r["source"].startswith("walkons")][:24]
        rng = random.Random(5)
        self.rows = [[data.row(r, enc, rng, 512, named=False) for r in records[i : i + 6]] for i in range(0, len(records), 6)]
        self.virtual = virtual

    def __call__(self, m):
        out = []
        with torch.no_grad():
            for null in (False, True):
                losses = [reply_loss(m, data.collate(rows, [null] * len(rows), 1, self.virtual), "none") for rows in self.rows]
                out.append(torch.cat(losses).mean().item())
        return dict(heldout=out[0], heldout_null=out[1])


def native_bfloat16():
    """Whether the processor multiplies bfloat16 itself; without that it is several times slower than float32."""
    try:
        return "avx512_bf16" in open("/proc/cpuinfo").read()
    except OSError:
        return False


def save(path, **parts):
    torch.save(parts, path + ".tmp")
    os.replace(path + ".tmp", path)


def tune(m, enc, args, params, virtual):
    """Likelihood of the characters' replies, over params alone."""
    path, st = f"{args.out}/{args.stage}.pt", dict(step=0, epoch=0, at=0, used=0.0)
    opt = torch.optim.AdamW(params, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01)
    if os.path.exists(path):
        kept = torch.load(path)
        m.load_state_dict(kept["model"], strict=False)
        opt.load_state_dict(kept["opt"])
        st = kept["state"]
    records = written(args.chat)
    shown = near.Near(records, args.out)
    held, log, began = Heldout(enc, virtual), open(f"{args.out}/{args.stage}.jsonl", "a"), time.time()

    def note(**x):
        log.write(json.dumps(x) + "\n")
        log.flush()
        print(x, flush=True)

    def keep():
        save(path, model={k: v for k, v in m.state_dict().items() if k not in frozen}, opt=opt.state_dict(), state=dict(st, used=st["used"] + time.time() - began))

    frozen = {n for n, _ in m.named_buffers()}
    saved = tested = began
    while True:
        batches = data.epoch(records, enc, 100 + st["epoch"], args.batch // args.parts, args.share, shown)
        while st["at"] < len(batches):
            done = (st["used"] + time.time() - began) / (args.minutes * 60)
            if time.time() - tested > 900 or done >= 1:
                tested = time.time()
                note(step=st["step"], **held(m))
            full = resident() > args.memory
            if time.time() - saved > 240 or done >= 1 or full:
                saved = time.time()
                keep()
            if done >= 1:
                return
            if full:  # malloc keeps what it once had: start anew from the checkpoint
                os.execv(sys.executable, [sys.executable] + sys.argv)
            lr = args.lr * min(1, (st["step"] + 1) / 20, 0.05 + 0.95 * (1 - done) / args.decay)
            for g in opt.param_groups:
                g["lr"] = lr
            rng, t, loss, n = random.Random(st["step"]), time.time(), 0.0, 0
            some = batches[st["at"] : st["at"] + args.parts]
            for slots, rows in some:
                b = data.collate(rows, [not virtual and rng.random() < 0.12 for _ in rows], slots, virtual)
                part = reply_loss(m, b) / len(some)
                part.backward()
                loss += part.item()
                n += sum(len(r[0]["id"]) for r in rows) + sum(len(d) for r in rows for d in r[2])
            norm = torch.nn.utils.clip_grad_norm_(params, 1.0)
            opt.step()
            opt.zero_grad(set_to_none=True)
            st["step"] += 1
            st["at"] += len(some)
            note(step=st["step"], loss=round(loss, 4), norm=round(float(norm), 3), tokens=n, per_s=round(n / (time.time() - t)), done=round(done, 4))
        st["epoch"] += 1
        st["at"] = 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("stage", choices=("tune", "heads", "virtual", "export"))
    ap.add_argument("--base", default=BASE, help="the GGUF to start from")
    ap.add_argument("--out", default=HERE + "/../../../checkpoints", help="where checkpoints are kept")
    ap.add_argument("--to", default=HERE + "/../../weights/shipped/adapter.safetensors", help="export: the adapter to write")
    ap.add_argument("--from", dest="begin", help="tune: an adapter to go on from, where there is no checkpoint")
    ap.add_argument("--chat", help="the public persona chat (synthetic-persona-chat.jsonl.gz), a share of the training text")
    ap.add_argument("--minutes", type=float, default=80)
    ap.add_argument("--tokens", type=float, default=250_000, help="heads: how much text to read for features")
    ap.add_argument("--replies", type=int, default=12_000, help="heads: how many replies to read alone")
    ap.add_argument("--memory", type=float, default=12, help="gigabytes after which a run starts anew from its checkpoint")
    ap.add_argument("--batch", type=int, default=5120, help="tokens of an optimiser's step")
    ap.add_argument("--share", type=float, default=0.08, help="of the public persona chat, of all text")
    ap.add_argument("--decay", type=float, default=0.3, help="the last part of a run, in which the learning rate falls to nothing")
    ap.add_argument("--parts", type=int, default=2, help="parts in which a step is read, one after the other, to save memory")
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16" if native_bfloat16() else "float32",
                    help="of the frozen weights and the arithmetic; float32 where the processor has no bfloat16 products")
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    torch.manual_seed(1)
    torch.set_num_threads(os.cpu_count())
    m, enc = model.load(args.base, getattr(torch, args.dtype)), data.Encoder(model.tokenizer(args.base))

    def resume(stage):
        m.load_state_dict(torch.load(f"{args.out}/{stage}.pt")["model"], strict=False)

    for p in m.parameters():
        p.requires_grad_(False)
    if args.stage == "tune":
        if args.begin:
            model.apply(m, args.begin)
            m.e = None  # a stage of its own
        tune(m, enc, args, [p.requires_grad_() for p in m.trained()], False)
    elif args.stage == "heads":
        resume("tune")
        records = written()
        chat = [list(data.chat(STORIES, args.chat, held)) if args.chat else [] for held in (False, True)]
        heads.train(m, enc, records, list(data.dialogues(STORIES, True)), chat, near.Near(records, args.out), args)
        save(f"{args.out}/heads.pt", model={k: v for k, v in m.state_dict().items() if k.startswith(("b.", "heads.", "scales.")) and not k.endswith((".w", ".n1", ".n2"))})
    elif args.stage == "virtual":
        resume("heads")
        m.make_e()
        tune(m, enc, args, list(m.e.parameters()), True)
    else:
        last = next(s for s in ("virtual", "heads", "tune") if os.path.exists(f"{args.out}/{s}.pt"))
        if last == "virtual":
            m.make_e()
        resume(last)
        model.export(m, args.base, args.to, f"stages up to {last}")


if __name__ == "__main__":
    main()
