"""Empty shared libraries in the place of TensorRT's own, so that its real Python bindings can be imported anywhere.

The bindings of a release know every class, enum and signature of it; the library behind them needs a driver and is not
on PyPI. Each function that they link against is here one that returns 0: nothing can be built or run with it, which is
why tests that want an engine use TensorRT-RTX.

The files are written byte by byte: a machine without a compiler runs the same tests.
"""

import platform
import struct
from collections.abc import Sequence
from pathlib import Path

LIBRARIES = {
    "libnvinfer.so.10": (
        "createInferBuilder_INTERNAL",
        "createInferRefitter_INTERNAL",
        "createInferRuntime_INTERNAL",
        "getBuilderPluginRegistry",
        "getPluginRegistry",
    ),
    "libnvinfer_plugin.so.10": ("initLibNvInferPlugins",),
    "libnvonnxparser.so.10": (
        "createNvOnnxParserRefitter_INTERNAL",
        "createNvOnnxParser_INTERNAL",
        "getNvOnnxParserVersion",
    ),
}

# ELF's number of the machine, and "return 0" in its language.
_MACHINES = {
    "x86_64": (62, bytes.fromhex("31c0c3")),  # xor eax, eax; ret
    "aarch64": (183, bytes.fromhex("000080d2c0035fd6")),  # mov x0, #0; ret
}
_HEADER, _SEGMENT, _SYMBOL, _PAGE = 64, 56, 24, 0x10000
_HASH, _STRINGS, _SYMBOLS, _STRINGS_SIZE, _SYMBOL_SIZE, _SONAME = 4, 5, 6, 10, 11, 14


def write_shims(folder: Path) -> Path:
    """Write all three libraries and return the folder, for LD_LIBRARY_PATH."""
    for name, functions in LIBRARIES.items():
        (folder / name).write_bytes(_library(name, functions))
    return folder


def _library(name: str, functions: Sequence[str]) -> bytes:
    """Return a library whose functions are all one and the same: code, then tables, each at its own address."""
    machine, code = _MACHINES[platform.machine()]
    code_at = _HEADER + 3 * _SEGMENT
    names = b"\0" + b"".join(each.encode() + b"\0" for each in (name, *functions))
    offsets = [names.index(b"\0" + each.encode() + b"\0") + 1 for each in functions]
    symbols = bytes(_SYMBOL) + b"".join(struct.pack("<IBBHQQ", at, 0x12, 0, 1, code_at, len(code)) for at in offsets)
    count = len(functions) + 1
    # One bucket that chains all symbols: 1 -> 2 -> ... -> 0.
    table = struct.pack(f"<{3 + count}I", 1, count, 1, 0, *range(2, count), 0)
    body, places = b"", {}
    for key, part in (("code", code), ("names", names), ("symbols", symbols), ("hash", table)):
        body += bytes(-len(body) % 8)
        places[key] = code_at + len(body)
        body += part
    body += bytes(-len(body) % 8)
    dynamic_at = code_at + len(body)
    entries = (
        (_SONAME, 1),
        (_HASH, places["hash"]),
        (_STRINGS, places["names"]),
        (_SYMBOLS, places["symbols"]),
        (_STRINGS_SIZE, len(names)),
        (_SYMBOL_SIZE, _SYMBOL),
        (0, 0),
    )
    # The loader writes addresses into this table, so it is mapped a second time where it may.
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    end = dynamic_at + len(dynamic)
    segments = (
        _segment(1, 5, 0, 0, dynamic_at),
        _segment(1, 6, dynamic_at, _PAGE + dynamic_at, len(dynamic)),
        _segment(2, 6, dynamic_at, _PAGE + dynamic_at, len(dynamic)),
    )
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        *(3, machine, 1, 0, _HEADER, 0, 0, _HEADER, _SEGMENT, len(segments), 0, 0, 0),
    )
    whole = header + b"".join(segments) + body + dynamic
    assert len(whole) == end
    return whole


def _segment(kind: int, flags: int, offset: int, address: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, size, size, _PAGE if kind == 1 else 8)
