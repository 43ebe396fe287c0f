"""Writes reference.jsonl.gz: 10,000 lines with their tokens by Hugging Face's tokenizers, from the base's vocabulary; and, with
"llama3" at the end, 2,500 of the lines of an earlier reference.jsonl.gz with their tokens by Llama 3's rules and the same vocabulary.

python3 make.py ../../weights/SmolLM2-135M-Instruct.Q4_1.gguf ../../../stories/dialogues reference.jsonl.gz
python3 make.py ../../weights/SmolLM2-135M-Instruct.Q4_1.gguf reference.jsonl.gz llama3.jsonl.gz llama3
"""
import glob, gzip, json, random, sys

from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

# tokenizer.json of meta-llama/Meta-Llama-3-8B
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def tokenizer(path, llama3=False):
    fields = GGUFReader(path).fields
    text = lambda name: [bytes(fields[name].parts[i]).decode() for i in fields[name].data]
    vocab = {t: i for i, t in enumerate(text("tokenizer.ggml.tokens"))}
    merges = [tuple(m.split(" ")) for m in text("tokenizer.ggml.merges")]
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=llama3))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    ) if llama3 else pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.decoder = decoders.ByteLevel()
    return t


def strings(x):
    if isinstance(x, str):
        yield x
    elif isinstance(x, dict):
        for v in x.values():
            yield from strings(v)
    elif isinstance(x, list):
        for v in x:
            yield from strings(v)


def strange(rng):
    """A line of odd characters: spaces of all kinds, digits of all scripts, marks, emoji, contractions."""
    pools = [" \t\n\u00a0\u2003\u3000", "0123456789٣४Ⅷ½²", "'s'S'll're'd''t", "aAéßñøЖλشש漢字かなกไ한", "!?.,…—\"«»()[]{}<>|_*#@",
             "\u0301\u200d\u200b\ufe0f", "😀👩‍🚀🇫🇷✨", "<|im_start|>", "  don't  I'LL 12.5 "]
    out = []
    for _ in range(rng.randint(1, 14)):
        pool = rng.choice(pools)
        out.append(pool if rng.random() < 0.15 else "".join(rng.choice(pool) for _ in range(rng.randint(1, 5))))
    return "".join(out)


def write(out, t, lines):
    with gzip.GzipFile(out, "wb", mtime=0) as f:
        for line in lines:
            f.write((json.dumps({"text": line, "ids": t.encode(line).ids}, ensure_ascii=False, separators=(",", ":")) + "\n").encode())


if sys.argv[-1] == "llama3":
    base, reference, out = sys.argv[1:4]
    lines = [json.loads(l)["text"] for l in gzip.open(reference, "rt", encoding="utf8")]
    write(out, tokenizer(base, llama3=True), lines[:500] + lines[8000:])
    sys.exit()
base, dialogues, out = sys.argv[1:]
rng = random.Random(7)
lines = sorted({s for f in sorted(glob.glob(dialogues + "/*.jsonl.gz")) for r in gzip.open(f, "rt", encoding="utf8") for s in strings(json.loads(r)) if len(s) > 12})
rng.shuffle(lines)
lines = lines[:8000] + [strange(rng) for _ in range(2000)]
write(out, tokenizer(base), lines)
