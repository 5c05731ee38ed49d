"""Bytes that must not be seen: passphrases, phrases, seeds and keys.

A ``Secret`` lives on a memory page of its own, which is kept out of swap and core dumps where the
system allows it, and is zeroed when it is wiped or collected. It shows nothing when printed,
cannot be pickled or copied, and JSON refuses it.

What Python cannot do: PyNaCl and hashlib take ``bytes``, which nobody can zero. Such copies are made
by ``reveal`` alone, and live as briefly as the call that needs them.
"""

from __future__ import annotations

import contextlib
import ctypes
import hmac
import mmap
import resource
from typing import TYPE_CHECKING, NoReturn, Self

from kalepool.errors import InternalError

if TYPE_CHECKING:
    from types import TracebackType

_PR_SET_DUMPABLE = 4  # linux/prctl.h
_DONTDUMP = getattr(mmap, "MADV_DONTDUMP", None)  # Linux has it


class Secret:
    """Bytes that must not be seen, of any length.

    Args:
        data: copied; a caller who owns a mutable buffer should zero his own.
    """

    __slots__ = ("_length", "_page")

    _page: mmap.mmap | None

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._page = None  # so that a failure below leaves something to collect
        self._length = len(data)
        page = mmap.mmap(-1, max(self._length, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        _keep_in_memory(page)
        page[: self._length] = bytes(data)
        self._page = page

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Make one of text: UTF-8, and bytes that are none are kept as the system gave them."""
        return cls(text.encode("utf-8", "surrogateescape"))

    def reveal(self) -> bytes:
        """Give a copy of the bytes, for one call: do not keep it.

        Raises:
            InternalError: when it has been wiped.
        """
        if self._page is None:
            raise InternalError("a secret was used after it had been wiped")
        return self._page[: self._length]

    def reveal_text(self) -> str:
        """Give the text it was made of, for one call: do not keep it."""
        return self.reveal().decode("utf-8", "surrogateescape")

    def wipe(self) -> None:
        """Zero it. It cannot be used any more; wiping twice is fine."""
        page, self._page = self._page, None
        if page is not None:
            page[:] = bytes(len(page))
            page.close()  # unmaps, and with that unlocks

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __del__(self) -> None:
        self.wipe()

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal(), other.reveal())

    __hash__ = None  # type: ignore[assignment] # a hash would tell something of it

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret can be neither pickled nor copied")


def forbid_dumps() -> None:
    """Keep this process's memory to itself: no core dump, and no reading or tracing by the same user.

    The limit alone does not stop a system that pipes dumps to a program; the other is Linux alone. Best effort, and
    for the program's entry: it holds for the whole process.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _keep_in_memory(page: mmap.mmap) -> None:
    # Best effort: without the right or the room to lock memory the secret is as safe as any other page.
    if _MLOCK is not None:
        _MLOCK(ctypes.addressof(ctypes.c_char.from_buffer(page)), len(page))
    if _DONTDUMP is not None:
        page.madvise(_DONTDUMP)


def _find_mlock() -> ctypes._NamedFuncPointer | None:
    try:
        function = ctypes.CDLL(None).mlock
    except (AttributeError, OSError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    function.restype = ctypes.c_int
    return function


_MLOCK = _find_mlock()
