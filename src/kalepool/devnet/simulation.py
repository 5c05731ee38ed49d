"""simulateTransaction: try a call on the last closed ledger and tell what it would need."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stellar_sdk import xdr

from kalepool.devnet.auth import EnforcingAuthorizer, RecordingAuthorizer
from kalepool.devnet.execution import extend_entries, output_bytes, written_bytes
from kalepool.devnet.fees import disk_read_bytes, events_fee, non_refundable_fee, rent_fee
from kalepool.devnet.host import Host, HostError, RecordedFootprint
from kalepool.devnet.jsonrpc import MAX_U32
from kalepool.devnet.state import Layer
from kalepool.devnet.transactions import ExtendTtl, InvokeContract, SorobanData

if TYPE_CHECKING:
    from kalepool.devnet.events import AssetEvent, Diagnostic
    from kalepool.devnet.execution import Change, Rules
    from kalepool.devnet.state import View
    from kalepool.devnet.transactions import Transaction

# How far a node's simulation goes above what it measured (soroban-simulation's defaults).
_INSTRUCTION_FACTOR = (104, 100)
_INSTRUCTION_MARGIN = 50_000
_SIZE_FACTOR = (11, 10)
_SIZE_MARGIN = 500
_REFUNDABLE_FACTOR = (115, 100)


@dataclass(slots=True)
class Simulation:
    """What a simulation found.

    Attributes:
        error: why it failed, as a node words it; empty where it did not.
        diagnostics: the host's log.
        events: asset events.
        data: resources and fee to put into the transaction.
        return_value: of an invocation.
        authorizations: entries to sign, or those that were given; XDR.
        changes: how entries would change.
    """

    error: str = ""
    diagnostics: list[Diagnostic] = field(default_factory=list)
    events: list[AssetEvent] = field(default_factory=list)
    data: xdr.SorobanTransactionData | None = None
    return_value: xdr.SCVal | None = None
    authorizations: list[xdr.SorobanAuthorizationEntry] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SimulationRequest:
    """What to simulate.

    Attributes:
        transaction: holds exactly one operation.
        given: its authorization entries as XDR.
        mode: enforce, record or record_allow_nonroot.
        upgraded: record ADDRESS_V2 credentials.
        instruction_leeway: instructions to add to what was measured.
    """

    transaction: Transaction
    given: list[xdr.SorobanAuthorizationEntry]
    mode: str
    upgraded: bool
    instruction_leeway: int = 0


def simulate_call(
    request: SimulationRequest, view: View, rules: Rules, *, sequence: int, close_time: int
) -> Simulation:
    """Simulate an invocation.

    Contract time and ledger number are those of the last closed ledger, as on a node: a plant
    simulated before a ledger has closed 300 s after the block began describes the old block.
    """
    tx = request.transaction
    operation = tx.operations[0]
    assert isinstance(operation, InvokeContract)
    source = operation.source or tx.source
    layer, footprint = Layer(view, sequence), RecordedFootprint()
    recording = RecordingAuthorizer(
        source, allow_nonroot=request.mode == "record_allow_nonroot", upgraded=request.upgraded
    )
    enforcing = EnforcingAuthorizer(operation.authorizations, source)
    host = Host(
        layer,
        rules.identity,
        rules.contracts,
        footprint,
        enforcing if request.mode == "enforce" else recording,
        close_time=close_time,
        temporary_ttl=rules.temporary_ttl,
        max_instructions=rules.limits.tx_instructions,
    )
    try:
        value = host.call(operation.contract, operation.function, operation.arguments)
    except HostError as error:
        return Simulation(error=_log(error, host.diagnostics), diagnostics=host.diagnostics)
    changes = layer.difference()
    instructions = max(
        host.instructions * _INSTRUCTION_FACTOR[0] // _INSTRUCTION_FACTOR[1],
        host.instructions + _INSTRUCTION_MARGIN,
    )
    resources = SorobanData(
        read_only=footprint.read_only,
        read_write=footprint.read_write,
        instructions=min(instructions + request.instruction_leeway, MAX_U32),
        disk_read_bytes=_read_from_disk(view, footprint, sequence),
        write_bytes=written_bytes(changes),
        resource_fee=0,
    )
    refundable = rent_fee(changes, sequence) + events_fee(output_bytes(host.events, value))
    authorizations = request.given if request.mode == "enforce" else recording.entries()
    size = tx.size + _size_of_new(authorizations, request.given)
    return Simulation(
        diagnostics=host.diagnostics,
        events=host.events,
        data=_with_fee(resources, size, refundable),
        return_value=value,
        authorizations=authorizations,
        changes=changes,
    )


def simulate_extension(request: SimulationRequest, view: View, *, sequence: int) -> Simulation:
    """Simulate an ExtendFootprintTTL over the footprint that the transaction declares."""
    tx = request.transaction
    operation, data = tx.operations[0], tx.soroban
    assert isinstance(operation, ExtendTtl)
    assert data is not None
    layer = Layer(view, sequence)
    extend_entries(data.read_only, operation.extend_to, layer)
    changes = layer.difference()
    footprint = RecordedFootprint(dict.fromkeys(data.read_only, False))
    resources = SorobanData(data.read_only, (), 0, _read_from_disk(view, footprint, sequence), 0, 0)
    return Simulation(data=_with_fee(resources, tx.size, rent_fee(changes, sequence)), changes=changes)


def _read_from_disk(view: View, footprint: RecordedFootprint, sequence: int) -> int:
    layer = Layer(view, sequence)
    entries = (layer.get(key) for key in footprint.touched)
    return disk_read_bytes(entry for entry in entries if entry is not None)


def _size_of_new(
    authorizations: list[xdr.SorobanAuthorizationEntry], given: list[xdr.SorobanAuthorizationEntry]
) -> int:
    if authorizations is given:
        return 0
    return sum(len(entry.to_xdr_bytes()) for entry in authorizations)


def _with_fee(resources: SorobanData, size: int, refundable: int) -> xdr.SorobanTransactionData:
    """Put the minimum resource fee into the resources, for an envelope of about this size."""
    data = _to_xdr(resources)
    size += len(data.to_xdr_bytes())
    size = max(size * _SIZE_FACTOR[0] // _SIZE_FACTOR[1], size + _SIZE_MARGIN)
    refundable = -(-refundable * _REFUNDABLE_FACTOR[0] // _REFUNDABLE_FACTOR[1])
    return _to_xdr(replace(resources, resource_fee=non_refundable_fee(resources, size) + refundable))


def _to_xdr(resources: SorobanData) -> xdr.SorobanTransactionData:
    footprint = xdr.LedgerFootprint(
        [xdr.LedgerKey.from_xdr_bytes(key) for key in resources.read_only],
        [xdr.LedgerKey.from_xdr_bytes(key) for key in resources.read_write],
    )
    return xdr.SorobanTransactionData(
        xdr.SorobanTransactionDataExt(0),
        xdr.SorobanResources(
            footprint,
            xdr.Uint32(resources.instructions),
            xdr.Uint32(resources.disk_read_bytes),
            xdr.Uint32(resources.write_bytes),
        ),
        xdr.Int64(resources.resource_fee),
    )


def _log(error: HostError, diagnostics: list[Diagnostic]) -> str:
    """Word an error as a node does: the error, then the host's log with the newest line first."""
    lines = [f"HostError: {error.label}", "", "Event log (newest first):"]
    lines += [f"   {number}: {diagnostic}" for number, diagnostic in enumerate(reversed(diagnostics))]
    return "\n".join(lines)
