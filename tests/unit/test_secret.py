"""Secrets: nothing shows them, nothing copies them, and they can be wiped."""

from __future__ import annotations

import copy
import ctypes
import json
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalepool.errors import InternalError
from kalepool.secret import Secret

if TYPE_CHECKING:
    import mmap

TEXT = "a passphrase nobody should see"


@settings(deadline=None)
@given(st.binary(max_size=10_000))
def test_it_gives_back_what_it_was_made_of(data: bytes) -> None:
    held = Secret(data)
    assert held.reveal() == data
    assert len(held) == len(data)


@pytest.mark.parametrize("text", ["", "plain", "größer als 🥬", "\udce9 not UTF-8"])
def test_it_gives_back_any_text_that_a_system_may_give(text: str) -> None:
    assert Secret.from_text(text).reveal_text() == text


@pytest.mark.parametrize(
    "show", [repr, str, ascii, format, "{}".format, "%s".__mod__, lambda s: f"{s:>20}{s!r}"]
)
def test_nothing_shows_it(show: object) -> None:
    assert callable(show)
    assert "passphrase" not in show(Secret.from_text(TEXT))


@pytest.mark.parametrize(
    "take",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        lambda s: json.dumps({"key": [s]}),
        hash,
        iter,
        bytes,
    ],
)
def test_nothing_takes_it_away(take: object) -> None:
    assert callable(take)
    with pytest.raises(TypeError) as caught:
        take(Secret.from_text(TEXT))
    assert TEXT not in str(caught.value)


def test_it_has_no_dictionary_to_be_listed() -> None:
    with pytest.raises(TypeError):
        vars(Secret.from_text(TEXT))


class WatchedPage:
    """A page that notes what it held when it was given back."""

    def __init__(self, page: mmap.mmap) -> None:
        self.page = page
        self.last = b""

    def __len__(self) -> int:
        return len(self.page)

    def __setitem__(self, where: slice, data: bytes) -> None:
        self.page[where] = data

    def close(self) -> None:
        self.last = self.page[:]
        self.page.close()


def test_the_bytes_are_zeroed_when_it_is_wiped() -> None:
    held = Secret.from_text(TEXT)
    assert held._page is not None
    watched = WatchedPage(held._page)
    held._page = watched  # type: ignore[assignment]
    held.wipe()
    assert watched.last == bytes(len(TEXT))


def test_once_wiped_it_is_of_no_use() -> None:
    with Secret.from_text(TEXT) as held:
        assert held.reveal_text() == TEXT
    held.wipe()
    with pytest.raises(InternalError):
        held.reveal()


def test_the_memory_goes_back_when_it_is_collected() -> None:
    held = Secret.from_text(TEXT)
    page = held._page
    assert page is not None
    del held
    assert page.closed


def test_two_are_equal_by_their_bytes_alone() -> None:
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"


def flags_of_mapping(address: int) -> set[str]:
    """Give the kernel's flags of the mapping around an address (proc(5), smaps, VmFlags)."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in (bounds := line.split()[0]) and not bounds.endswith(":"):
            start, _, end = bounds.partition("-")
            inside = int(start, 16) <= address < int(end, 16)
        elif inside and line.startswith("VmFlags:"):
            return set(line.split()[1:])
    raise AssertionError(f"no mapping holds {address:x}")


@pytest.mark.skipif(sys.platform != "linux", reason="the flags are read from /proc")
def test_its_page_stays_out_of_core_dumps_and_where_allowed_out_of_swap() -> None:
    held = Secret.from_text(TEXT)
    assert held._page is not None
    flags = flags_of_mapping(ctypes.addressof(ctypes.c_char.from_buffer(held._page)))
    assert "dd" in flags
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] >= 2**20 or os.geteuid() == 0:
        assert "lo" in flags


ASKS_FOR_DUMPS = """
import ctypes, os, resource, sys
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
from kalepool.cli import app
app.main = lambda: print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
app.run()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it asks the kernel by prctl")
def test_the_program_leaves_no_core_dump_whatever_the_shell_allows() -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", ASKS_FOR_DUMPS], capture_output=True, text=True, env=environ, check=False
    )
    assert done.stdout == "(0, 0) 0\n", done.stderr
