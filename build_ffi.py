"""Build kalepool._miner, the C hash engine, with CFFI in API mode.

What Python may call is read from the marked block of csrc/keccak_miner.h: one place declares it.
"""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
HEADER = "keccak_miner.h"


def declarations(header: str) -> str:
    """Give what stands between the ``cdef`` marks of a header."""
    _, begin, rest = header.partition("/* cdef begin")
    body, end, _ = rest.partition("/* cdef end */")
    if not begin or not end:
        raise SystemExit(f"{HEADER} has no cdef block")
    return body.partition("*/")[2]


ffi = FFI()
ffi.cdef(declarations((HERE / "csrc" / HEADER).read_text(encoding="utf-8")))
ffi.set_source(
    "kalepool._miner",
    f'#include "{HEADER}"',
    sources=sorted(path.relative_to(HERE).as_posix() for path in (HERE / "csrc").glob("*.c")),
    include_dirs=["csrc"],
    # Instruction sets are turned on by the functions that need them, so one build runs on every CPU. That nothing
    # warns is checked by `make native-test`; a compiler of the future may warn without stopping an installation.
    extra_compile_args=["-std=c11", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden"],
    libraries=["m", "pthread"],
)

if __name__ == "__main__":
    ffi.compile(verbose=True)
