"""The vault file: every way in which it can be wrong, and that nothing goes wrong half way."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalepool.adapters.vault import LEAST, MODERATE, Cost, Vault, cost, derivation, keys
from kalepool.adapters.vault.document import parse
from kalepool.adapters.vault.locks import unlock
from kalepool.errors import ConfigError, InternalError
from support.vault import MAIN, OPERATIONS, SEED, SEED_ADDRESS, forge, make, opened, secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.secret import Secret


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.json"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("vault") / "vault.json"
    make(path, operations=True)
    return path.read_bytes()


def damage(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def forged(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda path: forge(path, change)


def flipped(box: str) -> str:
    return ("B" if box[0] == "A" else "A") + box[1:]


def swap_channels(body: dict[str, Any]) -> None:
    channels = body["addresses"]["channels"]
    channels[0], channels[1] = channels[1], channels[0]


def exchange_data_keys(body: dict[str, Any]) -> None:
    keys = body["slots"]["main"]["keys"]
    keys["operational"], keys["farmers"] = keys["farmers"], keys["operational"]


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "does not exist"),
    "a folder": (make_folder, "cannot be read"),
    "open to others": (lambda path: path.chmod(0o644), "open to others"),
    "empty": (damage(lambda data: b""), "cut short"),
    "cut short": (damage(lambda data: data[: len(data) // 2]), "cut short"),
    "cut in the last byte": (damage(lambda data: data.rstrip()[:-1]), "cut short"),
    "not JSON": (damage(lambda data: b"{" + data), "not JSON"),
    "not text": (damage(lambda data: b"\xff\xfe" + data), "not JSON"),
    "nested without end": (damage(lambda data: b'{"a":' * 100_000 + b"}" * 100_000), "not JSON"),
    "something else": (damage(lambda data: b'{"format": "keystore"}'), "not a vault"),
    "a list": (damage(lambda data: b'["kalepool vault", {}]'.replace(b"]", b"]}")), "not JSON"),
    "of a newer version": (forged(lambda body: body.update(version=2, extra=1)), "newer kalepool: version 2"),
    "of no version": (forged(lambda body: body.update(version="1")), "no version"),
    "with a field too much": (forged(lambda body: body.update(note="hello")), "unknown: note"),
    "with a field missing": (forged(lambda body: body.pop("slots")), "unknown: slots"),
    "with a digit changed": (
        damage(lambda data: data.replace(b'"passes": 1', b'"passes": 2', 1)),
        "checksum",
    ),
    "without main slot": (forged(lambda body: body["slots"].pop("main")), "passphrase slots"),
    "with a third slot": (forged(lambda body: body["slots"].update(guest={})), "passphrase slots"),
    "with a bare slot": (forged(lambda body: body["slots"].update(operations={})), "exactly kdf"),
    "with farmers' key in the wrong slot": (
        forged(lambda body: body["slots"]["operations"].update(keys=body["slots"]["main"]["keys"])),
        "exactly operational",
    ),
    "of another hash": (forged(lambda body: body["slots"]["main"].update(kdf="scrypt")), "not Argon2id"),
    "with a salt too short": (
        forged(lambda body: body["slots"]["main"].update(salt="AAAA")),
        "3 bytes, not 16",
    ),
    "with half a pass": (forged(lambda body: body["slots"]["main"].update(passes=1.5)), "number is none"),
    "with no base64": (forged(lambda body: body.update(farmers="?")), "not base64"),
    "with a number for a box": (forged(lambda body: body.update(farmers=7)), "text is none"),
    "with a bad address": (
        forged(lambda body: body["addresses"].update(operator="GABC")),
        "address is wrong",
    ),
    "with a contract's address": (
        forged(lambda body: body["addresses"].update(operator="C" + "A" * 55)),
        "address is wrong",
    ),
    "with too few channels": (forged(lambda body: body["addresses"]["channels"].pop()), "63 channels"),
    "with channels in no list": (forged(lambda body: body["addresses"].update(channels=1)), "list is none"),
    "with an unclear operator": (
        forged(lambda body: body["addresses"].update(operator_imported=1)),
        "neither true nor false",
    ),
    "with an absurd memory": (
        forged(lambda body: body["slots"]["operations"].update(memory_bytes=4 * 1024**3 + 1)),
        "absurd",
    ),
    "with absurd passes": (forged(lambda body: body["slots"]["main"].update(passes=65)), "absurd"),
    "with no pass": (forged(lambda body: body["slots"]["main"].update(passes=0)), "too weakly"),
    "of another network": (forged(lambda body: body.update(network="testnet")), "too weakly for testnet"),
    # From here on the file is well made; only the keys can tell.
    "under another salt": (
        forged(lambda body: body["slots"]["main"].update(salt=body["slots"]["operations"]["salt"])),
        "does not open",
    ),
    "with a wrapped key changed": (
        forged(lambda body: body["slots"]["main"]["keys"].update(farmers="A" * 96)),
        "does not open",
    ),
    "with data keys exchanged": (forged(exchange_data_keys), "does not open"),
    "of another id": (forged(lambda body: body.update(id="A" * 22 + "==")), "does not open"),
    "with another operator": (
        forged(lambda body: body["addresses"].update(operator=SEED_ADDRESS)),
        "tampered with or is damaged: its header",
    ),
    "with channels exchanged": (forged(swap_channels), "tampered with or is damaged: its header"),
    "with an address added": (
        forged(lambda body: body["addresses"]["imported"].append(SEED_ADDRESS)),
        "tampered with or is damaged: its header",
    ),
    "with the operations slot taken out": (
        forged(lambda body: body["slots"].pop("operations")),
        "tampered with or is damaged: its header",
    ),
    "with the header's tag changed": (
        forged(lambda body: body.update(header_tag=flipped(body["header_tag"]))),
        "tampered with or is damaged: its header",
    ),
    "with the operational box changed": (
        forged(lambda body: body.update(operational=flipped(body["operational"]))),
        "box of the operator's",
    ),
    "with the farmers' box changed": (
        forged(lambda body: body.update(farmers=flipped(body["farmers"]))),
        "box of the farmers'",
    ),
    "with the farmers' box empty": (forged(lambda body: body.update(farmers="")), "box of the farmers'"),
    "with boxes exchanged": (
        forged(lambda body: body.update(farmers=body["operational"], operational=body["farmers"])),
        "box of the operator's",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_vault_that_is_wrong_says_how_and_stays_as_it_is(path: Path, wrong: str) -> None:
    make(path, operations=True)
    prepare, message = WRONG[wrong]
    prepare(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ConfigError, match=message) as caught:
        opened(path)
    assert caught.value.hint or "cannot be read" in caught.value.message
    assert "\n" not in caught.value.message + caught.value.hint
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_well_made_vault_is_not_among_the_wrong_ones(path: Path) -> None:
    make(path, operations=True)
    forge(path, lambda body: body)
    assert opened(path).farmers_unlocked


@pytest.mark.parametrize(
    "change", [{"cost": Cost(2, LEAST.memory_bytes)}, {"cost": Cost(1, 16_384)}, {"salt": bytes(16)}]
)
def test_a_wrapped_key_is_bound_to_the_cost_of_getting_at_it(path: Path, change: dict[str, Any]) -> None:
    unlocked = make(path)._fully("")
    main = unlocked.header.slots["main"]
    cheaper = replace(unlocked.header, slots={"main": replace(main, **change)})
    assert keys.open_slot(unlocked.header, "main", unlocked.stretched) is not None
    assert keys.open_slot(cheaper, "main", unlocked.stretched) is None


def test_pieces_of_an_older_vault_do_not_fit_a_newer_one(path: Path) -> None:
    vault = make(path)
    old = json.loads(path.read_bytes())
    vault.add_imported([secret(SEED)])
    forge(path, lambda body: body.update(farmers=old["farmers"]))
    with pytest.raises(ConfigError, match="box of the farmers'"):
        opened(path)


def test_a_wrong_passphrase_is_one_clear_message(path: Path) -> None:
    make(path)
    with pytest.raises(ConfigError, match=f"the passphrase does not open the vault {path}") as caught:
        opened(path, "wrong")
    assert "check the passphrase" in caught.value.hint
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_vault_belongs_to_its_network(path: Path) -> None:
    make(path)
    for use in (
        lambda: Vault.open(path, network="mainnet", passphrase=secret(MAIN)),
        lambda: Vault.peek(path, network="mainnet"),
    ):
        with pytest.raises(ConfigError, match="belongs to the network local, not mainnet"):
            use()


@pytest.mark.parametrize("network", ["testnet", "mainnet", "a network of tomorrow"])
@pytest.mark.parametrize(
    "weak", [LEAST, Cost(2, MODERATE.memory_bytes), Cost(MODERATE.passes, MODERATE.memory_bytes - 1)]
)
def test_real_networks_take_no_vault_weaker_than_moderate(path: Path, network: str, weak: Cost) -> None:
    with pytest.raises(ConfigError, match=f"too weakly for {network}"):
        Vault.create(path, network=network, passphrase=secret(MAIN), cost=weak)
    assert not path.exists()


def test_on_a_real_network_moderate_is_what_one_gets(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Cost] = []

    def cheap(passphrase: Secret, asked_cost: Cost, salt: bytes) -> Secret | None:
        asked.append(asked_cost)
        return argon2id(passphrase, LEAST, salt)

    argon2id = cost._argon2id
    monkeypatch.setattr(cost, "_argon2id", cheap)
    Vault.create(path, network="mainnet", passphrase=secret(MAIN))
    vault = Vault.open(path, network="mainnet", passphrase=secret(MAIN))
    with pytest.raises(ConfigError, match="too weakly"):
        vault.change_passphrase(secret("brand new words"), cost=LEAST)
    assert asked == [MODERATE, MODERATE]
    assert (MODERATE.passes, MODERATE.memory_bytes) == (3, 256 * 1024**2)


def test_moderate_works_for_real(path: Path) -> None:
    Vault.create(path, network="testnet", passphrase=secret(MAIN))
    assert Vault.open(path, network="testnet", passphrase=secret(MAIN)).farmers_unlocked


def test_too_little_memory_is_told_as_such(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> bytes:
        raise MemoryError

    make(path)
    monkeypatch.setattr("nacl.bindings.crypto_pwhash_alg", no_memory)
    with pytest.raises(ConfigError, match="want of memory"):
        opened(path)


@pytest.mark.parametrize(("network", "passphrase"), [("local", ""), ("mainnet", ""), ("mainnet", "7 chars")])
def test_a_passphrase_too_short_is_refused_before_anything_is_written(
    path: Path, network: str, passphrase: str
) -> None:
    with pytest.raises(ConfigError, match="too short"):
        Vault.create(path, network=network, passphrase=secret(passphrase))
    vault = make(path, operations=True)
    before = path.read_bytes()
    for change in (vault.change_passphrase, vault.set_operations_passphrase):
        with pytest.raises(ConfigError, match="too short"):
            change(secret(""))
    assert path.read_bytes() == before


def test_a_vault_is_never_overwritten(path: Path) -> None:
    make(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        make(path)
    assert path.read_bytes() == before


CHANGES: dict[str, Callable[[Vault], object]] = {
    "import": lambda vault: vault.add_imported([secret(SEED)]),
    "passphrase": lambda vault: vault.change_passphrase(secret("brand new words")),
    "operations": lambda vault: vault.set_operations_passphrase(None),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("broken", ["fsync", "rename"])
def test_a_change_that_cannot_be_written_has_not_happened(
    path: Path, monkeypatch: pytest.MonkeyPatch, change: str, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    vault = make(path, operations=True)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr({"fsync": "os.fsync", "rename": "pathlib.Path.rename"}[broken], fail)
        with pytest.raises(ConfigError, match="cannot be written: No space left"):
            CHANGES[change](vault)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert vault.addresses.imported == ()
    assert opened(path).farmers_unlocked
    assert not opened(path, OPERATIONS).farmers_unlocked
    CHANGES[change](vault)  # and can happen yet
    assert path.read_bytes() != before


def test_a_change_that_the_disk_did_not_confirm_has_happened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    calls = []

    def second_fails(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    vault = make(path)
    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(ConfigError, match="did not confirm"):
        vault.change_passphrase(secret("brand new words"))
    vault.add_imported([secret(SEED)])
    assert opened(path, "brand new words").addresses.imported == (SEED_ADDRESS,)


def test_two_processes_do_not_undo_each_others_changes(path: Path) -> None:
    make(path)
    first, second = opened(path), opened(path)
    first.add_imported([secret(SEED)])
    with pytest.raises(ConfigError, match="another process"):
        second.change_passphrase(secret("brand new words"))
    assert opened(path).addresses.imported == (SEED_ADDRESS,)


@settings(deadline=None)
@given(data=st.data())
def test_one_changed_byte_anywhere_is_noticed_or_changes_nothing(data: st.DataObject, written: bytes) -> None:
    where = data.draw(st.integers(0, len(written) - 1))
    byte = data.draw(st.integers(0, 255))
    changed = written[:where] + bytes([byte]) + written[where + 1 :]
    path = Path("vault.json")
    try:
        found = unlock(parse(changed, path), secret(MAIN), path)
    except ConfigError:
        assert changed != written
    else:
        # White space, or a letter's other spelling in JSON.
        assert json.loads(changed) == json.loads(written)
        assert found.header == parse(written, path).header


@settings(deadline=None)
@given(data=st.data())
def test_cut_anywhere_it_is_refused(data: st.DataObject, written: bytes) -> None:
    cut = written[: data.draw(st.integers(0, len(written) - 2))]
    with pytest.raises(ConfigError):
        parse(cut, Path("vault.json"))


def test_what_is_encrypted_is_opened_before_it_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = make(path)
    before = path.read_bytes()
    monkeypatch.setattr(keys, "open_compartment", lambda *_: None)
    with pytest.raises(InternalError, match="does not open again"):
        vault.add_imported([secret(SEED)])
    assert path.read_bytes() == before


def test_the_security_page_describes_the_file_that_is_written(written: bytes) -> None:
    page = (Path(__file__).parents[2] / "docs" / "SECURITY.md").read_text()
    body = json.loads(written)
    for name in (*body, *body["addresses"], *body["slots"], *body["slots"]["main"]):
        assert f"`{name}`" in page
    last = derivation.channel_account(derivation.CHANNELS - 1)
    for words in (
        f"| 1 to {last} | channels 0 to {derivation.CHANNELS - 1} |",
        f"| {derivation.wallet_account(0)} + index |",
        f"`{derivation.SEAL_LABEL.decode()}`",
        f"`{derivation.AUDIT_LABEL.decode()}`",
        f"| {LEAST.passes} | {LEAST.memory_bytes // 1024} KiB |",
        f"| {MODERATE.passes} | {MODERATE.memory_bytes // 1024**2} MiB |",
    ):
        assert words in page
