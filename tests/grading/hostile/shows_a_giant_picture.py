# Shows a picture of 64 MB, one that unpacks to many more, and metadata larger than both.
# gains: nothing
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after q01-total]
import base64
import struct
import zlib

from IPython.display import display


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


header = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**7)))
display({"image/png": base64.b64encode(bomb).decode()}, raw=True)
display({"image/png": "A" * (64 << 20)}, raw=True)
display({"text/plain": "x"}, metadata={"a": ["b" * 1000] * 100_000}, raw=True)
display(
    {"application/json": {"deep": [[[[[]]]]]}, "x-" + "y" * 10**6: "z", "text/html": 5}, raw=True
)
