"""Consent: by the source's signature, by signed entries old and new, and never by less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from stellar_sdk import TransactionEnvelope, scval, xdr
from stellar_sdk.auth import authorize_entry

from kalepool.devnet.auth import EnforcingAuthorizer, RecordingAuthorizer
from kalepool.devnet.host import MAX_TTL, Frame, HostError
from kalepool.devnet.transactions import Authorization, Invocation
from support.devnet import KALE, Bench, operation_codes, plant_arguments, sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from stellar_sdk import Keypair

    from kalepool.devnet.execution import Applied

TRAPPED = ["INVOKE_HOST_FUNCTION_TRAPPED"]
LEGACY = xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_ADDRESS
UPGRADED = xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_ADDRESS_V2


def error_of(applied: Applied) -> str:
    """Give the last error line of the host's log."""
    return [str(line) for line in applied.diagnostics if "topics:[error" in str(line)][-1]


class Planting:
    """A plant for a farmer that somebody else sends and pays for."""

    def __init__(self, bench: Bench, stake: int = 3 * KALE, *, upgraded: bool = True) -> None:
        self.bench = bench
        self.sender = bench.account("sender")
        self.farmer = bench.account("farmer", kale=10)
        arguments = plant_arguments(self.farmer, stake)
        self.envelope = bench.unsigned_call(self.sender, bench.kale, "plant", arguments)
        self.simulated = bench.simulate(self.envelope, useUpgradedAuth=upgraded)
        (self.entry,) = [
            xdr.SorobanAuthorizationEntry.from_xdr(entry) for entry in self.simulated["results"][0]["auth"]
        ]

    def signed(self, signer: Keypair | None = None, ledgers: int = 100) -> xdr.SorobanAuthorizationEntry:
        until = self.bench.ledger.latest.sequence + ledgers
        return authorize_entry(self.entry, signer or self.farmer, until, self.bench.passphrase)

    def land(self, *entries: xdr.SorobanAuthorizationEntry, leeway: int = 0) -> Applied:
        simulated = dict(self.simulated)
        simulated["results"] = [{"auth": [entry.to_xdr() for entry in entries], "xdr": ""}]
        envelope = self.bench.assemble(self.envelope, simulated)
        data = envelope.transaction.soroban_data
        assert data is not None
        # Signatures make the envelope larger than the simulated one.
        data.resource_fee.int64 += 2_000
        data.resources.instructions.uint32 += leeway
        envelope.transaction.fee += 2_000
        return self.bench.land(sign(envelope, self.sender))


@pytest.mark.parametrize(("upgraded", "kind"), [(False, LEGACY), (True, UPGRADED)])
def test_a_farmers_signed_entry_lets_somebody_else_send_his_plant(
    bench: Bench, upgraded: bool, kind: xdr.SorobanCredentialsType
) -> None:
    planting = Planting(bench, upgraded=upgraded)
    assert planting.entry.credentials.type == kind
    assert planting.land(planting.signed()).result.is_success
    assert bench.kale_of(planting.farmer) == 7 * KALE


def test_the_recorded_tree_holds_the_burn_with_its_amount(bench: Bench) -> None:
    planting = Planting(bench)
    root = planting.entry.root_invocation
    (burn,) = root.sub_invocations
    call = burn.function.contract_fn
    assert call is not None
    assert call.function_name.sc_symbol == b"burn"
    assert scval.from_int128(call.args[1]) == 3 * KALE


def test_a_plant_of_nothing_needs_no_burn(bench: Bench) -> None:
    assert Planting(bench, stake=0).entry.root_invocation.sub_invocations == []


def test_the_sources_own_consent_is_an_entry_without_a_signature(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    envelope = bench.unsigned_call(farmer, bench.kale, "plant", plant_arguments(farmer, KALE))
    result = bench.simulate(envelope)
    entry = xdr.SorobanAuthorizationEntry.from_xdr(result["results"][0]["auth"][0])
    assert entry.credentials.type == xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_SOURCE_ACCOUNT
    result["results"][0]["auth"] = []
    applied = bench.land(bench.assemble(envelope, result, farmer))
    assert operation_codes(applied) == TRAPPED
    assert "Error(Auth, InvalidAction)" in error_of(applied)


def _unsigned(planting: Planting) -> xdr.SorobanAuthorizationEntry:
    return planting.entry


def _by_a_stranger(planting: Planting) -> xdr.SorobanAuthorizationEntry:
    return planting.signed(planting.sender)


def _expired(planting: Planting) -> xdr.SorobanAuthorizationEntry:
    return planting.signed(ledgers=0)


def _for_another_amount(planting: Planting) -> xdr.SorobanAuthorizationEntry:
    entry = planting.signed()
    call = entry.root_invocation.function.contract_fn
    assert call is not None
    call.args[1] = scval.to_int128(9 * KALE)
    return entry


def _without_the_burn(planting: Planting) -> xdr.SorobanAuthorizationEntry:
    planting.entry.root_invocation.sub_invocations.clear()
    return planting.signed()


def _relabelled(planting: Planting) -> xdr.SorobanAuthorizationEntry:
    entry = planting.signed()
    signed = entry.credentials.address_v2
    entry.credentials = xdr.SorobanCredentials(LEGACY, address=signed)
    return entry


def _for_too_long(planting: Planting) -> xdr.SorobanAuthorizationEntry:
    return planting.signed(ledgers=MAX_TTL + 1)


def _under_another_name(planting: Planting) -> xdr.SorobanAuthorizationEntry:
    entry = planting.signed()
    assert entry.credentials.address_v2 is not None
    vector = entry.credentials.address_v2.signature.vec
    assert vector is not None
    assert vector.sc_vec[0].map is not None
    for item in vector.sc_vec[0].map.sc_map:
        if item.key.sym == xdr.SCSymbol(b"public_key"):
            item.val = scval.to_bytes(planting.sender.raw_public_key())
    return entry


@pytest.mark.parametrize(
    "spoil",
    [
        _unsigned,
        _by_a_stranger,
        _expired,
        _for_another_amount,
        _without_the_burn,
        _relabelled,
        _for_too_long,
        _under_another_name,
    ],
)
def test_consent_that_is_not_exactly_this_plants_is_none(
    bench: Bench, spoil: Callable[[Planting], xdr.SorobanAuthorizationEntry]
) -> None:
    planting = Planting(bench)
    applied = planting.land(spoil(planting))
    assert operation_codes(applied) == TRAPPED
    assert "Error(Auth" in error_of(applied)
    assert bench.kale_of(planting.farmer) == 10 * KALE


def test_a_signature_counts_in_its_last_ledger(bench: Bench) -> None:
    planting = Planting(bench)
    assert planting.land(planting.signed(ledgers=1)).result.is_success


class Running:
    """As much of a host as consent looks at: the calls that run. No contract here calls so strangely."""

    def __init__(self, *calls: Invocation) -> None:
        self.frames = [Frame(call.contract, call.function, call.arguments) for call in calls]
        self.sequence = 1


def test_each_node_of_consent_is_good_for_one_call(bench: Bench) -> None:
    farmer = bench.account("farmer").public_key
    burn, send = Invocation(bench.sac, "burn", ()), Invocation(bench.sac, "transfer", ())
    plant = Invocation(bench.kale, "plant", (), (burn, send))
    authorizer: Any = EnforcingAuthorizer([Authorization(None, 0, 0, b"", None, plant)], farmer)
    authorizer.require(Running(plant), farmer)
    for sub_call in (burn, send):
        authorizer.require(Running(plant, sub_call), farmer)
        authorizer.leave(1)
        with pytest.raises(HostError, match="unauthorized function call"):
            authorizer.require(Running(plant, sub_call), farmer)
    authorizer.leave(0)
    with pytest.raises(HostError, match="unauthorized function call"):
        authorizer.require(Running(plant), farmer)


def test_a_contract_agrees_to_what_it_calls_itself_and_to_nothing_further_down(bench: Bench) -> None:
    outer, middle, inner = (Invocation(one, "call", ()) for one in (bench.tractor, bench.kale, bench.sac))
    for authorizer in (
        EnforcingAuthorizer([], bench.tractor),
        RecordingAuthorizer(bench.tractor, allow_nonroot=False, upgraded=True),
    ):
        asked: Any = authorizer
        asked.require(Running(outer, middle, inner), bench.kale)
        with pytest.raises(HostError, match="InvalidAction"):
            asked.require(Running(outer, middle, inner), bench.tractor)


def test_consent_below_the_root_alone_is_recorded_where_that_is_allowed(bench: Bench) -> None:
    farmer = bench.account("farmer").public_key
    calls = (Invocation(bench.tractor, "harvest", ()), Invocation(bench.sac, "burn", ()))
    authorizer: Any = RecordingAuthorizer(farmer, allow_nonroot=True, upgraded=True)
    authorizer.require(Running(*calls), farmer)
    (entry,) = authorizer.entries()
    assert entry.root_invocation.function.contract_fn.function_name.sc_symbol == b"burn"


def test_a_signed_entry_is_good_for_one_use(bench: Bench) -> None:
    planting = Planting(bench, stake=0)
    entry = planting.signed()
    assert planting.land(entry).result.is_success
    bench.open_block(bench.account("opener", kale=0))
    again = bench.unsigned_call(planting.sender, bench.kale, "plant", plant_arguments(planting.farmer, 0))
    simulated = bench.simulate(again, useUpgradedAuth=True)
    fresh = [xdr.SorobanAuthorizationEntry.from_xdr(one) for one in simulated["results"][0]["auth"]]
    data = xdr.SorobanTransactionData.from_xdr(simulated["transactionData"])
    # The footprint names the new nonce; put the used one's key in its place.
    footprint = data.resources.footprint
    old_nonce, new_nonce = nonce_of(entry), nonce_of(fresh[0])
    footprint.read_write = [with_nonce(key, new_nonce, old_nonce) for key in footprint.read_write]
    data.resource_fee.int64 += 2_000
    simulated["transactionData"] = data.to_xdr()
    simulated["results"][0]["auth"] = [entry.to_xdr()]
    applied = bench.land(bench.assemble(again, simulated, planting.sender))
    assert operation_codes(applied) == TRAPPED
    assert "Error(Auth, ExistingValue)" in error_of(applied)


def nonce_of(entry: xdr.SorobanAuthorizationEntry) -> int:
    assert entry.credentials.address_v2 is not None
    return entry.credentials.address_v2.nonce.int64


def with_nonce(key: xdr.LedgerKey, old: int, new: int) -> xdr.LedgerKey:
    if key.contract_data is not None and key.contract_data.key.nonce_key is not None:
        assert key.contract_data.key.nonce_key.nonce.int64 == old
        key.contract_data.key.nonce_key.nonce = xdr.Int64(new)
    return key


def test_a_signature_can_be_checked_in_a_simulation(bench: Bench) -> None:
    planting = Planting(bench)
    envelope = bench.unsigned_call(
        planting.sender, bench.kale, "plant", plant_arguments(planting.farmer, 3 * KALE)
    )
    operation = envelope.transaction.operations[0]
    operation.auth = [planting.signed()]  # type: ignore[attr-defined]
    assert "error" not in bench.simulate(envelope)
    operation.auth = [planting.signed(planting.sender)]  # type: ignore[attr-defined]
    assert "Error(Auth, InvalidAction)" in bench.simulate(envelope)["error"]


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("enforce", "Error(Auth, InvalidAction)"),
        ("record", None),
        ("record_allow_nonroot", None),
        ("guess", "optional 'authMode' must be one of"),
    ],
)
def test_a_simulation_records_or_enforces_as_it_is_told(bench: Bench, mode: str, says: str | None) -> None:
    farmer = bench.account("farmer", kale=10)
    envelope = bench.unsigned_call(farmer, bench.kale, "plant", plant_arguments(farmer, KALE))
    result = bench.simulate(envelope, authMode=mode)
    assert says in result["error"] if says else "error" not in result


def test_recording_over_given_entries_is_refused(bench: Bench) -> None:
    planting = Planting(bench)
    envelope: TransactionEnvelope = planting.envelope
    envelope.transaction.operations[0].auth = [planting.entry]  # type: ignore[attr-defined]
    result = bench.simulate(envelope, authMode="record")
    assert result["error"] == "cannot set authMode to 'record' with an auth footprint"
