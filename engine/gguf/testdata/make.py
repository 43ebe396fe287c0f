"""Makes blocks.gguf: for each storage type a tensor TYPE, [3, 512], and TYPE.want, what the package gguf makes of it, in F32.

    pip install gguf numpy && python3 make.py

Types that the package can quantise hold quantised normal noise with a few outliers; the K types hold random bits with scales
of a sensible size.
"""

import os

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize, quantize

ROWS, COLS = 3, 512
HALVES = {T.Q4_K: (0, 2), T.Q5_K: (0, 2), T.Q6_K: (208,)}  # where the float16 scales of a block stand

rng = np.random.default_rng(7)
out = gguf.GGUFWriter(os.path.join(os.path.dirname(os.path.abspath(__file__)), "blocks.gguf"), "blocks")
out.add_uint32("blocks.count", 11)
for kind in (T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K):
    values = rng.normal(0, 0.05, (ROWS, COLS)).astype(np.float32)
    values[rng.random(values.shape) < 0.01] *= 40
    values[1, :32] = 0
    if kind in HALVES:
        block, size = GGML_QUANT_SIZES[kind]
        raw = rng.integers(0, 256, (ROWS * COLS // block, size), dtype=np.uint8)
        for at in HALVES[kind]:
            scale = rng.normal(0, 0.01, len(raw)).astype(np.float16)
            raw[:, at : at + 2] = scale.view(np.uint8).reshape(-1, 2)
        raw = raw.reshape(ROWS, -1)
    elif kind == T.F16:
        raw = values.astype(np.float16)
        raw[0, :6] = np.array([0, 1, 0x3FF, 0x400, 0x7BFF, 0x83FF], np.uint16).view(np.float16)  # zero, subnormals, largest
    else:
        raw = quantize(values, kind)
    want = raw.astype(np.float32) if kind in (T.F32, T.F16) else dequantize(raw, kind)
    out.add_tensor(kind.name, raw, raw_dtype=None if kind in (T.F32, T.F16) else kind)
    out.add_tensor(kind.name + ".want", want.astype(np.float32))
out.write_header_to_file()
out.write_kv_data_to_file()
out.write_tensors_to_file()
out.close()
