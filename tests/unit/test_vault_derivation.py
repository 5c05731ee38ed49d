"""Keys from words: the published vectors, the SDK's own derivation, and the ranges that may not meet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stellar_sdk import Keypair

from kalepool.adapters.vault import derivation
from kalepool.adapters.vault.derivation import (
    CHANNELS,
    OPERATOR_ACCOUNT,
    WALLETS,
    account_seed,
    channel_account,
    entropy_of,
    phrase_of,
    root_of,
    stellar_node,
    wallet_account,
)
from kalepool.adapters.vault.seed import parse_seed, written_seed
from kalepool.errors import InternalError, UsageError
from kalepool.secret import Secret
from support.vault import PHRASE, SEED, SEED_ADDRESS, secret

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "sep0005.json").read_text())
# Of PHRASE's BIP-39 seed; made with `openssl dgst -sha256 -mac HMAC`.
SEAL_KEY = "f11ce219023755d797591a95b732c3d709397fa7b82fb8e2c33a95fae5fc0035"
AUDIT_KEY = "b67d1a530af6fa1b3cfbe3f873839d7d7ce3b1777122bf1b0cda0107fcf0bfd3"
PHRASES = st.binary(min_size=32, max_size=32).map(lambda raw: phrase_of(Secret(raw)))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"test {vector['test']}")
def test_the_vectors_of_sep_0005_come_out(vector: dict[str, object]) -> None:
    node = stellar_node(root_of(secret(str(vector["phrase"]))))
    assert node.reveal()[:32].hex() == vector["node"]
    assert isinstance(vector["accounts"], list)
    for account, (address, written) in enumerate(vector["accounts"]):
        seed = account_seed(node, account)
        assert seed.address == address
        assert written_seed(seed).reveal_text() == written


@settings(max_examples=10, deadline=None)
@given(PHRASES, st.one_of(st.integers(0, 1100), st.just(2**31 - 1)))
def test_every_account_is_the_one_that_the_sdk_derives(phrase: Secret, account: int) -> None:
    theirs = Keypair.from_mnemonic_phrase(phrase.reveal_text(), index=account)
    ours = account_seed(stellar_node(root_of(phrase)), account)
    assert ours.address == theirs.public_key
    assert written_seed(ours).reveal_text() == theirs.secret
    assert ours.sign(bytes(range(32))) == theirs.sign(bytes(range(32)))


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_words_and_entropy_are_the_same_thing(raw: bytes) -> None:
    phrase = phrase_of(Secret(raw))
    assert len(phrase.reveal_text().split(" ")) == 24
    assert entropy_of(phrase).reveal() == raw


@pytest.mark.parametrize("written", [PHRASE.upper(), f"\n  {PHRASE.replace(' ', '   ')}\t\n"])
def test_case_and_space_of_a_phrase_do_not_matter(written: str) -> None:
    assert entropy_of(secret(written)) == entropy_of(secret(PHRASE))


@pytest.mark.parametrize(
    ("phrase", "message"),
    [
        ("", "24 words, not 0"),
        (PHRASE.rsplit(" ", 1)[0], "24 words, not 23"),
        (VECTORS[0]["phrase"], "24 words, not 12"),
        (PHRASE.replace("jump", "jmup"), "word 3 "),
        (PHRASE.replace("hurt jump", "jump hurt"), "checksum"),
        (PHRASE.replace("better", "bench"), "checksum"),
    ],
)
def test_a_wrong_phrase_is_told_by_place_and_never_by_word(phrase: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        entropy_of(secret(phrase))
    assert "jmup" not in caught.value.message + caught.value.hint


def test_operator_channels_and_wallets_never_share_an_account() -> None:
    channels = {channel_account(number) for number in range(CHANNELS)}
    assert len(channels) == CHANNELS
    assert OPERATOR_ACCOUNT not in channels
    assert wallet_account(0) > max(channels) > min(channels) > OPERATOR_ACCOUNT == 0
    assert wallet_account(WALLETS - 1) == 2**31 - 1


@pytest.mark.parametrize(
    ("find", "number"),
    [(channel_account, -1), (channel_account, CHANNELS), (wallet_account, -1), (wallet_account, WALLETS)],
)
def test_numbers_outside_a_range_are_refused(find: object, number: int) -> None:
    assert callable(find)
    with pytest.raises(UsageError, match=f"no (channel|wallet) {number}"):
        find(number)


def test_the_phrase_has_other_keys_than_accounts() -> None:
    root = root_of(secret(PHRASE))
    seal = derivation.labelled_key(root, derivation.SEAL_LABEL)
    audit = derivation.labelled_key(root, derivation.AUDIT_LABEL)
    # A change here would void every seal ever set.
    assert (seal.reveal().hex(), audit.reveal().hex()) == (SEAL_KEY, AUDIT_KEY)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_a_seed_is_written_and_read_as_the_sdk_does(raw: bytes) -> None:
    theirs = Keypair.from_raw_ed25519_seed(raw)
    seed = parse_seed(secret(f" {theirs.secret}\n"))
    assert seed.reveal() == raw
    assert seed.address == theirs.public_key
    assert written_seed(seed).reveal_text() == theirs.secret


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a secret seed"),
        (SEED[:-1], "not a secret seed"),
        (SEED + "A", "not a secret seed"),
        (SEED_ADDRESS, "not a secret seed"),
        (SEED[:-1] + "1", "not a secret seed"),
        (SEED.lower(), "not a secret seed"),
        (SEED[:20] + "A" + SEED[21:], "checksum"),
        ("SA" + SEED_ADDRESS[2:], "checksum"),
    ],
)
def test_a_wrong_seed_is_told_and_not_repeated(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_seed(secret(text))
    assert not text or text not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_only_hashes_are_signed(length: int) -> None:
    with pytest.raises(InternalError, match="32 bytes"):
        parse_seed(secret(SEED)).sign(bytes(length))
