"""No seed, phrase or passphrase shows: not printed, pickled, logged, nor in a traceback with its variables."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

import pytest
from stellar_sdk import StrKey

from kalepool.adapters.vault import Vault
from kalepool.adapters.vault.derivation import entropy_of, root_of, stellar_node
from kalepool.adapters.vault.seed import parse_seed
from kalepool.errors import KalepoolError
from kalepool.secret import Secret
from support.vault import MAIN, OPERATIONS, PHRASE, SEED, SEED_ADDRESS, make, opened, secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRONG_SEED = SEED[:20] + "A" + SEED[21:]
WRONG_PHRASE = PHRASE.replace("better", "bench")
PASSPHRASE = "a passphrase that is wrong"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "vault.json", operations=True).add_imported([secret(SEED)])
    return tmp_path / "vault.json"


def needles() -> list[str]:
    """Everything secret of the known vault, in every spelling that could slip out."""
    node = stellar_node(root_of(secret(PHRASE)))
    raws = [
        StrKey.decode_ed25519_secret_seed(SEED),
        entropy_of(secret(PHRASE)).reveal(),
        root_of(secret(PHRASE)).reveal(),
        node.reveal()[:32],
    ]
    raw_spellings = [spelling for raw in raws for spelling in (raw.hex(), repr(raw)[2:-1], str(list(raw)))]
    words = [" ".join(PHRASE.split()[:3]), "', '".join(PHRASE.split()[:3])]
    return [SEED, WRONG_SEED, MAIN, OPERATIONS, PASSPHRASE, *words, *raw_spellings]


def inside(thing: object) -> Iterator[object]:
    yield thing
    if is_dataclass(thing):
        for field in fields(thing):
            yield from inside(getattr(thing, field.name))
    elif isinstance(thing, tuple | list):
        for item in thing:
            yield from inside(item)
    elif hasattr(thing, "__dict__"):
        for item in vars(thing).values():
            yield from inside(item)


def assert_clean(text: str) -> None:
    for needle in needles():
        assert needle not in text


def test_the_search_would_find_what_it_searches_for() -> None:
    for needle in needles():
        with pytest.raises(AssertionError):
            assert_clean(f"... {needle} ...")


@pytest.mark.parametrize("passphrase", [MAIN, OPERATIONS])
def test_nothing_within_an_open_vault_shows_a_secret(path: Path, passphrase: str) -> None:
    vault = opened(path, passphrase)
    things = list(inside(vault))
    assert sum(isinstance(thing, Secret) for thing in things) >= 66
    for thing in things:
        if not isinstance(thing, bytes):  # the file as it is on disk, encrypted
            assert_clean(f"{thing!r} {thing!s} {getattr(thing, '__dict__', '')}")
    assert_clean(repr([thing for thing in things if isinstance(thing, bytes)]))


@pytest.mark.parametrize("dump", [pickle.dumps, json.dumps])
def test_a_vault_cannot_be_dumped(path: Path, dump: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        dump(opened(path))
    assert_clean(str(caught.value))


FAILURES: dict[str, Callable[[Path], object]] = {
    "wrong passphrase": lambda path: Vault.open(path, network="local", passphrase=secret(PASSPHRASE)),
    "vault exists": make,
    "wrong seed": lambda _: parse_seed(secret(WRONG_SEED)),
    "seed imported twice": lambda path: opened(path).add_imported([secret(SEED)]),
    "wrong phrase": lambda _: entropy_of(secret(WRONG_PHRASE)),
    "phrase with a word too much": lambda _: entropy_of(secret(PHRASE + " zoo")),
    "payload too short": lambda path: opened(path).sign(SEED_ADDRESS, b"short"),
    "farmer's key with operations passphrase": lambda path: opened(path, OPERATIONS).sign(
        SEED_ADDRESS, bytes(32)
    ),
    "same passphrase": lambda path: opened(path).change_passphrase(secret(OPERATIONS)),
    "folder gone": lambda path: (path.rename(path.parent.parent / "gone"), make(path.parent / "no" / "v")),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_failure_shows_a_secret_even_with_its_variables(
    path: Path, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(KalepoolError) as caught:
        FAILURES[failure](path)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "Traceback" in shown
    assert_clean(shown)
    assert_clean(caplog.text)
    assert_clean(caught.value.message + caught.value.hint + repr(caught.value.__dict__))


def test_a_failure_inside_the_library_does_not_carry_the_passphrase_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(_length: int, passwd: bytes, *_: object) -> bytes:
        raise MemoryError(passwd)

    monkeypatch.setattr("nacl.bindings.crypto_pwhash_alg", no_memory)
    with pytest.raises(KalepoolError) as caught:
        opened(path)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_seed_given_where_an_address_belongs_is_not_repeated(path: Path) -> None:
    vault = opened(path)
    for use in (lambda: vault.sign(SEED, bytes(32)), lambda: vault.export_seed(SEED)):
        with pytest.raises(KalepoolError) as caught:
            use()
        assert_clean(caught.value.message + caught.value.hint)
