"""Configuration, recovery phrase, envelopes: whatever comes in is taken or refused in one line with a hint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kalepool.adapters.vault import check_phrase, parse_seed
from kalepool.config import FILE_NAME, KEYS, load, variable
from kalepool.errors import ConfigError, KalepoolError, UsageError
from kalepool.secret import Secret
from support.vault import PHRASE, SEED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BY_NAME = {key.name: key for key in KEYS}
WORDS = PHRASE.split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configuration")


def refused(what: Callable[[], object], *kinds: type[KalepoolError]) -> KalepoolError | None:
    """Give the error with which something is refused, None where it is not; any other is the test's failure."""
    found: KalepoolError | None = None
    try:
        what()
    except kinds as error:
        found = error
    assert found is None or (found.message and found.hint and len(shown(found)) < 1_000)
    return found


def loaded(folder: Path, data: bytes) -> Any:
    (folder / FILE_NAME).write_bytes(data)
    return load(None, {}, folder)


names = st.sampled_from([key.name for key in KEYS])
scalars = (
    st.integers()
    | st.booleans()
    | st.sampled_from(
        ["nan", "-inf", "1e999", "1979-05-27", '"\\u0000"', '""', "[]", "{}", "[[1]]", '"-1"', '"1e9"']
    )
    | st.floats(allow_nan=False, allow_infinity=False)
)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b"[" * 100_000)
@example(b"a=" + b"[" * 100_000)
@example(b"a=" + b"{a=" * 50_000)
@example(b"mining.threads=" + b"9" * 10_000)
@example(b"mining.threads=0x" + b"f" * 100_000)
@example(b'network.name="' + b"x" * 1_000_000 + b'"')
@example(b"x" * 100_000 + b".y=1")
@example(b"# " * 1_000_000)
def test_any_file_is_a_configuration_or_refused(folder: Path, data: bytes) -> None:
    refused(lambda: loaded(folder, data), ConfigError)


@settings(deadline=None)
@given(names, scalars)
def test_any_value_of_a_key_is_one_that_it_may_have_or_refused(folder: Path, name: str, value: Any) -> None:
    written = str(value).lower() if isinstance(value, bool) else str(value)
    section, _, key = name.partition(".")
    error = refused(lambda: loaded(folder, f"[{section}]\n{key} = {written}\n".encode()), ConfigError)
    if error is None:
        found = loaded(folder, f"[{section}]\n{key} = {written}\n".encode()).values[name]
        assert BY_NAME[name].check(found) == found
        assert type(found) is type(BY_NAME[name].default)


@settings(deadline=None)
@given(names, st.text(st.characters(exclude_characters="\0"), max_size=30) | scalars.map(str))
def test_any_variable_is_a_value_that_its_key_may_have_or_refused(folder: Path, name: str, text: str) -> None:
    (folder / FILE_NAME).write_text("")
    environment = {variable(name): text}
    if refused(lambda: load(None, environment, folder), ConfigError) is None:
        found = load(None, environment, folder).values[name]
        assert type(found) is type(BY_NAME[name].default)


def shown(error: KalepoolError) -> str:
    return error.message + error.hint


@settings(deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "zoo", "abandon"]), max_size=30))
@example(WORDS)
@example([*WORDS, "zoo"])
@example(WORDS[::-1])
def test_any_words_are_the_phrase_or_refused_and_not_repeated(words: list[str]) -> None:
    error = refused(lambda: check_phrase(Secret.from_text(" ".join(words))), UsageError, ConfigError)
    assert error is not None or len(words) == len(WORDS)
    assert error is None or not any(
        " ".join(words[place : place + 3]) in shown(error) for place in range(len(words) - 2)
    )


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"\xff" * 4096)
@example(b"zoo " * 1_000_000)
@example(PHRASE.upper().encode())
@example(PHRASE.replace(" ", "\u3000").encode())
def test_any_bytes_are_the_phrase_or_refused(data: bytes) -> None:
    refused(lambda: check_phrase(Secret(data)), UsageError, ConfigError)


@settings(deadline=None)
@given(
    st.binary(max_size=100)
    | st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=55, max_size=57).map(
        lambda text: ("S" + text[1:]).encode()
    )
)
@example(SEED.lower().encode())
@example((SEED + "=").encode())
@example(b"S" * 1_000_000)
def test_any_bytes_are_a_seed_or_refused_and_not_repeated(data: bytes) -> None:
    error = refused(lambda: parse_seed(Secret(data)), UsageError, ConfigError)
    assert error is None or len(data) < 9 or data.decode("latin-1") not in shown(error)
