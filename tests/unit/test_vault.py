"""The vault in use: what each passphrase opens, signing, seals, the audit chain, imports, new passphrases."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import stat
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stellar_sdk import Keypair

from kalepool.adapters.vault import LEAST, Cost, Vault, locks
from kalepool.adapters.vault import vault as vault_module
from kalepool.adapters.vault.cost import stretch
from kalepool.errors import ConfigError, InternalError, UsageError
from support.vault import MAIN, OPERATIONS, PHRASE, SEED, SEED_ADDRESS, make, opened, secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalepool import ports
    from kalepool.secret import Secret

PAYLOAD = bytes(range(32))
OTHER_SEED = "SCEPFFWGAG5P2VX5DHIYK3XEMZYLTYWIPWYEKXFHSK25RVMIUNJ7CTIS"  # SEP-0005, test 1, account 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.json"


def signs(vault: Vault, address: str) -> bool:
    Keypair.from_public_key(address).verify(PAYLOAD, vault.sign(address, PAYLOAD))
    return True


def derived(account: int) -> str:
    return Keypair.from_mnemonic_phrase(PHRASE, index=account).public_key


def test_it_is_the_port_that_services_ask_for(path: Path) -> None:
    port: ports.Vault = make(path)
    assert port.operator == derived(0)


def test_any_wallet_restores_operator_channels_and_farmers_from_the_words(path: Path) -> None:
    vault = make(path)
    assert vault.operator == derived(0)
    assert [vault.channel(0), vault.channel(63)] == [derived(1), derived(64)]
    assert [vault.wallet(0), vault.wallet(7)] == [derived(1000), derived(1007)]


def test_it_signs_for_every_key_it_has_once_opened_again(path: Path) -> None:
    make(path).add_imported([secret(SEED)])
    vault = opened(path)
    for address in (vault.operator, vault.channel(5), SEED_ADDRESS, vault.wallet(12_345)):
        assert signs(vault, address)


def test_a_wallet_nobody_asked_for_is_found_by_its_address(path: Path) -> None:
    make(path)
    assert signs(opened(path), derived(1100))


def test_a_stranger_is_searched_for_once_and_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "_SEARCHED_WALLETS", 20)
    vault = make(path)
    for _ in range(2):
        with pytest.raises(ConfigError, match="no key of"):
            vault.sign(SEED_ADDRESS, PAYLOAD)
    assert vault._searched == 20


def test_without_words_each_vault_has_its_own(tmp_path: Path) -> None:
    first, second = (
        Vault.create(tmp_path / name, network="local", passphrase=secret(MAIN), cost=LEAST) for name in "ab"
    )
    assert first.operator != second.operator
    again = Vault.create(
        tmp_path / "c",
        network="local",
        passphrase=secret("other"),
        phrase=first.recovery_phrase(),
        cost=LEAST,
    )
    assert again.addresses == first.addresses


def test_the_file_is_its_owners_alone(path: Path) -> None:
    make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_holds_no_secret_in_clear(path: Path) -> None:
    vault = make(path, operations=True)
    vault.add_imported([secret(SEED)])
    written = path.read_bytes()
    # A short word may stand in random base64 by chance: act does, once in a hundred files.
    words = [word for word in PHRASE.split() if len(word) > 4]
    for clear in (MAIN, OPERATIONS, SEED, *words):
        assert clear.encode() not in written


@pytest.mark.parametrize("passphrase", [MAIN, OPERATIONS])
def test_either_passphrase_signs_for_operator_and_channels_and_links_the_audit_log(
    path: Path, passphrase: str
) -> None:
    full = make(path, operations=True)
    vault = opened(path, passphrase)
    assert signs(vault, vault.operator)
    assert all(signs(vault, vault.channel(number)) for number in range(64))
    assert vault.audit_link(bytes(32), b"entry") == full.audit_link(bytes(32), b"entry")
    assert vault.addresses == full.addresses


FORBIDDEN: list[Callable[[Vault], object]] = [
    lambda vault: vault.sign(derived(1000), PAYLOAD),
    lambda vault: vault.sign(SEED_ADDRESS, PAYLOAD),
    lambda vault: vault.wallet(0),
    lambda vault: vault.seal(b"terms"),
    lambda vault: vault.seal_holds(b"terms", bytes(32)),
    lambda vault: vault.recovery_phrase(),
    lambda vault: vault.export_seed(vault.operator),
    lambda vault: vault.export_seed(SEED_ADDRESS),
    lambda vault: vault.add_imported([secret(OTHER_SEED)]),
    lambda vault: vault.change_passphrase(secret("another one")),
    lambda vault: vault.set_operations_passphrase(None),
    lambda vault: vault.set_operations_passphrase(secret("another one")),
]


@pytest.mark.parametrize("attempt", FORBIDDEN)
def test_the_operations_passphrase_opens_nothing_of_the_farmers(
    path: Path, attempt: Callable[[Vault], object]
) -> None:
    make(path, operations=True).add_imported([secret(SEED)])
    before = path.read_bytes()
    vault = opened(path, OPERATIONS)
    assert not vault.farmers_unlocked
    with pytest.raises(ConfigError) as caught:
        attempt(vault)
    assert "operations passphrase" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize("attempt", FORBIDDEN)
def test_the_main_passphrase_opens_what_the_operations_passphrase_does_not(
    path: Path, attempt: Callable[[Vault], object]
) -> None:
    make(path, operations=True).add_imported([secret(SEED)])
    attempt(opened(path))


def test_an_operations_vault_holds_no_farmers_secret_in_memory(path: Path) -> None:
    make(path, operations=True)
    vault = opened(path, OPERATIONS)
    assert type(vault._unlocked) is locks.Unlocked
    assert set(vault._unlocked.__slots__) == {"header", "operational"}


def test_a_seal_is_an_hmac_that_holds_for_its_message_alone(path: Path) -> None:
    vault = make(path)
    key = vault._fully("").farmers.seal_key.reveal()
    seal = vault.seal(b"pay alice")
    assert seal == hmac.new(key, b"pay alice", hashlib.sha256).digest()
    assert vault.seal_holds(b"pay alice", seal)
    assert not vault.seal_holds(b"pay mallory", seal)
    assert not vault.seal_holds(b"pay alice", seal[:-1])


def test_seals_and_audit_links_outlive_the_file_when_the_words_are_kept(tmp_path: Path) -> None:
    before, after = make(tmp_path / "before"), make(tmp_path / "after")
    assert after.seal_holds(b"terms", before.seal(b"terms"))
    assert after.audit_link(bytes(32), b"entry") == before.audit_link(bytes(32), b"entry")


def test_an_audit_link_depends_on_all_before_it(path: Path) -> None:
    vault = make(path)
    first = vault.audit_link(bytes(32), b"one")
    assert vault.audit_link(first, b"two") != vault.audit_link(vault.audit_link(bytes(32), b"0ne"), b"two")
    assert vault.audit_link(bytes(32), b"one") != vault.seal(bytes(32) + b"one")
    with pytest.raises(InternalError, match="32 bytes"):
        vault.audit_link(b"", b"one")


def test_an_imported_operator_takes_the_derived_ones_place_and_says_so(path: Path) -> None:
    vault = Vault.create(
        path, network="local", passphrase=secret(MAIN), operator_seed=secret(SEED), cost=LEAST
    )
    assert vault.operator == SEED_ADDRESS
    assert opened(path).addresses.operator_imported
    assert signs(opened(path), SEED_ADDRESS)


def test_addresses_are_known_without_a_passphrase(path: Path) -> None:
    vault = make(path)
    vault.add_imported([secret(SEED)])
    assert Vault.peek(path, network="local") == vault.addresses
    assert vault.addresses.imported == (SEED_ADDRESS,)


def test_exports_are_what_went_in(path: Path) -> None:
    vault = make(path)
    vault.add_imported([secret(SEED)])
    assert vault.recovery_phrase().reveal_text() == PHRASE
    assert vault.export_seed(SEED_ADDRESS).reveal_text() == SEED
    theirs = Keypair.from_mnemonic_phrase(PHRASE, index=1003)
    assert vault.export_seed(theirs.public_key).reveal_text() == theirs.secret


@pytest.mark.parametrize(
    "seeds",
    [[SEED, SEED], [OTHER_SEED, "S" + "A" * 55], [Keypair.from_mnemonic_phrase(PHRASE, index=0).secret]],
    ids=["twice", "one malformed", "the operator's"],
)
def test_imports_are_all_or_none(path: Path, seeds: list[str]) -> None:
    vault = make(path)
    before = path.read_bytes()
    with pytest.raises(UsageError):
        vault.add_imported([secret(text) for text in seeds])
    assert path.read_bytes() == before
    assert vault.addresses.imported == ()


def test_a_seed_is_imported_once(path: Path) -> None:
    make(path).add_imported([secret(SEED)])
    with pytest.raises(UsageError, match="already"):
        opened(path).add_imported([secret(SEED)])


@pytest.mark.parametrize("operations", [False, True])
def test_a_new_passphrase_opens_and_the_old_one_does_not(path: Path, operations: bool) -> None:
    vault = make(path, operations=operations)
    vault.add_imported([secret(SEED)])
    vault.change_passphrase(secret("brand new words"))
    again = opened(path, "brand new words")
    assert signs(again, SEED_ADDRESS)
    assert again.recovery_phrase().reveal_text() == PHRASE
    with pytest.raises(ConfigError, match="does not open"):
        opened(path, MAIN)
    if operations:
        assert signs(opened(path, OPERATIONS), again.operator)


def test_a_new_passphrase_leaves_no_old_salt_nor_data_key(path: Path) -> None:
    vault = make(path)
    old = vault._fully("")
    vault.change_passphrase(secret("brand new words"))
    new = vault._fully("")
    assert old.header.slots["main"].salt != new.header.slots["main"].salt
    assert old.keys.farmers != new.keys.farmers
    assert old.keys.operational != new.keys.operational


def test_a_new_passphrase_may_cost_more(path: Path) -> None:
    vault = make(path)
    vault.change_passphrase(secret(MAIN), cost=Cost(2, 16_384))
    assert opened(path)._unlocked.header.slots["main"].cost == Cost(2, 16_384)


def test_the_operations_passphrase_is_set_changed_and_taken_away(path: Path) -> None:
    vault = make(path)
    assert not vault.has_operations_passphrase
    keys = [vault._fully("").keys.operational]
    for new, old in (("first one", OPERATIONS), ("second one", "first one"), (None, "second one")):
        vault.set_operations_passphrase(secret(new) if new else None)
        assert vault.has_operations_passphrase == (new is not None)
        with pytest.raises(ConfigError, match="does not open"):
            opened(path, old)
        if new:
            assert not opened(path, new).farmers_unlocked
        assert opened(path).farmers_unlocked
        keys.append(vault._fully("").keys.operational)
    assert all(one != other for one, other in itertools.pairwise(keys))


@pytest.mark.parametrize(
    "same",
    [
        lambda path: Vault.create(
            path, network="local", passphrase=secret(MAIN), operations_passphrase=secret(MAIN), cost=LEAST
        ),
        lambda path: make(path).set_operations_passphrase(secret(MAIN)),
        lambda path: make(path, operations=True).change_passphrase(secret(OPERATIONS)),
    ],
)
def test_the_two_passphrases_may_not_be_one(path: Path, same: Callable[[Path], object]) -> None:
    with pytest.raises(ConfigError, match="are the same"):
        same(path)


def test_a_passphrase_is_the_same_from_any_keyboard(path: Path) -> None:
    Vault.create(path, network="local", passphrase=secret("Gr\u00fcn\u00b2"), cost=LEAST)
    assert opened(path, "Gru\u0308n2").farmers_unlocked


def test_every_slot_is_tried_whatever_the_passphrase(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(path, operations=True)
    tried: list[bytes] = []

    def counted(passphrase: Secret, cost: Cost, salt: bytes) -> Secret:
        tried.append(salt)
        return stretch(passphrase, cost, salt)

    monkeypatch.setattr("kalepool.adapters.vault.locks.stretch", counted)
    salts = set()
    for passphrase in (MAIN, OPERATIONS, "wrong"):
        tried.clear()
        try:
            opened(path, passphrase)
        except ConfigError:
            assert passphrase == "wrong"
        assert len(tried) == 2
        salts.add(tuple(tried))
    assert len(salts) == 1


@settings(max_examples=25, deadline=None)
@given(
    main=st.text(min_size=1, max_size=40),
    wrong=st.text(min_size=1, max_size=40),
    raw=st.lists(st.binary(min_size=32, max_size=32), unique=True, max_size=4),
    payload=st.binary(min_size=32, max_size=32),
)
def test_whatever_goes_in_comes_back_under_its_passphrase_alone(
    tmp_path_factory: pytest.TempPathFactory, main: str, wrong: str, raw: list[bytes], payload: bytes
) -> None:
    assume(unicodedata.normalize("NFKC", main) != unicodedata.normalize("NFKC", wrong))
    path = tmp_path_factory.mktemp("vault") / "vault.json"
    pairs = [Keypair.from_raw_ed25519_seed(seed) for seed in raw]
    vault = Vault.create(path, network="local", passphrase=secret(main), cost=LEAST)
    vault.add_imported([secret(pair.secret) for pair in pairs])
    again = opened(path, main)
    assert again.addresses.imported == tuple(pair.public_key for pair in pairs)
    assert again.recovery_phrase() == vault.recovery_phrase()
    assert [again.sign(pair.public_key, payload) for pair in pairs] == [pair.sign(payload) for pair in pairs]
    with pytest.raises(ConfigError, match="does not open"):
        opened(path, wrong)


def test_what_a_try_costs_is_told_without_unlocking(tmp_path: Path) -> None:
    make(tmp_path / "v", operations=True)
    assert Vault.costs(tmp_path / "v", network="local") == {"main": LEAST, "operations": LEAST}
    with pytest.raises(ConfigError, match="belongs to the network local"):
        Vault.costs(tmp_path / "v", network="testnet")
