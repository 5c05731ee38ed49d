"""What calls of one shape need: learned from one simulation, held against the call, used for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kalepool.adapters.stellar import wire
from kalepool.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.adapters.stellar.calls import Need, Operation
    from kalepool.adapters.stellar.simulations import Simulation

# Stroops (network settings of 2026). They price the leeway alone: what a node asks for is its own
# figure, and if rates have risen since, the share of refundable fee below covers the difference.
_PER_10_000_INSTRUCTIONS: Final = 7
_DISK_READ_KB: Final = 447
_WRITE_KB: Final = 875
_ENVELOPE_KB: Final = 4_059


class SimulationError(RejectedError):
    """A call fails when it is tried, or a node says what cannot be true of it.

    Args:
        message: what happened.
        hint: what to do about it.
        contract_error: number of the KALE contract's error, or None where it was not its.
    """

    def __init__(self, message: str, *, hint: str = "", contract_error: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.contract_error = contract_error


class DoubtError(SimulationError):
    """What a node says of a call cannot be true, or costs more than a call may: it lies, or the contract has changed."""


@dataclass(frozen=True, slots=True)
class Leeway:
    """What is declared beyond a simulation, because farmers and moments differ.

    Attributes:
        instructions_percent: a proof, a roll-over, a longer map take different paths.
        disk_read_bytes: a sponsored trustline, or one with liabilities, is longer.
        write_bytes: likewise, and a worked pail is longer than a fresh one.
        refundable: stroops for rent and events; what is not used comes back.
        opener_refundable: further stroops for the rent of the Block that an opener creates.
    """

    instructions_percent: int = 10
    disk_read_bytes: int = 200
    write_bytes: int = 200
    refundable: int = 2_000
    opener_refundable: int = 10_000


@dataclass(frozen=True, slots=True)
class Template:
    """Resources to declare for calls of one shape, leeway included.

    Attributes:
        instructions: at most these, and so on.
        disk_read_bytes: of classic entries.
        write_bytes: of all entries written.
        resource_fee: stroops.
    """

    instructions: int
    disk_read_bytes: int
    write_bytes: int
    resource_fee: int

    def for_opener(self, leeway: Leeway) -> Template:
        """Give the template of the plant that opens a block, from that of one that follows.

        It writes the same entries and may read one more; but it creates the Block, and pays its rent.
        """
        key_fee = _ceil(100 * _ENVELOPE_KB, 1024)
        return replace(self, resource_fee=self.resource_fee + key_fee + leeway.opener_refundable)

    def soroban_data(self, needs: Sequence[Need]) -> bytes:
        """Give the SorobanTransactionData of a call with these needs, as XDR."""
        return soroban_data(
            needs,
            (self.instructions, self.disk_read_bytes, self.write_bytes),
            self.resource_fee,
        )


def soroban_data(needs: Sequence[Need], resources: tuple[int, int, int], fee: int) -> bytes:
    """Write SorobanTransactionData: needs as the footprint, resources, resource fee in stroops."""
    read_only = [need.key for need in needs if not need.writes]
    read_write = [need.key for need in needs if need.writes]
    return b"".join(
        (
            wire.NONE,
            wire.array(read_only),
            wire.array(read_write),
            *map(wire.u32, resources),
            wire.i64(fee),
        )
    )


def learn(shape: str, operation: Operation, simulation: Simulation, leeway: Leeway) -> Template:
    """Make a template of what a node says about one call.

    Args:
        shape: of the call, for messages.
        operation: what was simulated.
        simulation: what the node says.
        leeway: what is declared beyond that.

    Raises:
        SimulationError: when the call fails, or when what the node says is not what such a call
            does: an entry too many, too few, or written instead of read; a consent of another wording.
    """
    if simulation.error:
        raise SimulationError(
            f"{shape}: {simulation.error}",
            hint="see what stands on the chain",
            contract_error=simulation.contract_error,
        )
    if simulation.must_restore:
        raise SimulationError(
            f"{shape}: an archived entry would have to be restored first",
            hint="ask the contract's owner",
        )
    _check_footprint(shape, simulation, operation.needs)
    if simulation.authorizations != operation.authorizations:
        raise _unlike(shape, simulation, "asks for other consent than such a call needs")
    instructions = -(-simulation.instructions * (100 + leeway.instructions_percent) // 100)
    more = (
        _ceil((instructions - simulation.instructions) * _PER_10_000_INSTRUCTIONS, 10_000)
        + _ceil(leeway.disk_read_bytes * _DISK_READ_KB, 1024)
        + _ceil(leeway.write_bytes * _WRITE_KB, 1024)
    )
    limits = (instructions, simulation.disk_read_bytes, simulation.write_bytes)
    if max(limits) > wire.MAX_U32 // 2:
        raise _unlike(shape, simulation, "asks for resources that no transaction may have")
    return Template(
        instructions=instructions,
        disk_read_bytes=simulation.disk_read_bytes + leeway.disk_read_bytes,
        write_bytes=simulation.write_bytes + leeway.write_bytes,
        resource_fee=simulation.resource_fee + more + leeway.refundable,
    )


def _check_footprint(shape: str, simulation: Simulation, needs: Sequence[Need]) -> None:
    by_key = {need.key: need for need in needs}
    seen = simulation.read_only + simulation.read_write
    unknown = [key for key in seen if key not in by_key]
    if unknown or len(set(seen)) < len(seen):
        raise _unlike(shape, simulation, "touches an entry that such a call does not need")
    written = set(simulation.read_write)
    for need in needs:
        if need.is_certain and need.key not in seen:
            raise _unlike(shape, simulation, f"leaves out the {need.name}")
        if need.key in seen and need.writes != (need.key in written):
            raise _unlike(
                shape, simulation, f"{'does not write' if need.writes else 'writes'} the {need.name}"
            )


def _unlike(shape: str, simulation: Simulation, what: str) -> DoubtError:
    return DoubtError(
        f"the simulation of {shape} by {simulation.node} {what}",
        hint="another block may have begun; if it persists, the contract has changed or the node lies",
    )


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
