"""``kalepool devnet``: a local Stellar + KALE network until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.checks import check_range
from kalepool.cli.output import Output, output_of
from kalepool.core.amounts import format_amount
from kalepool.errors import UsageError
from kalepool.networks import DEVNET_PORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.devnet.devnet import Devnet
    from kalepool.devnet.ledger import ClosedLedger
    from kalepool.devnet.server import Server

_MAX_SPEED = 1_000.0
_MAX_NEIGHBOURS = 500
_MIN_TTL = 16
_LEDGERS_A_LINE = 12
_BEHIND_S = 365 * 86_400


def devnet(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 for any free one.")] = DEVNET_PORT,
    speed: Annotated[float, typer.Option(help="Network seconds in a second, up to 1000.")] = 1.0,
    ledger_seconds: Annotated[float, typer.Option(help="Network seconds between ledgers.")] = 5.0,
    neighbours: Annotated[int, typer.Option(help="Other farmers on the network, up to 500.")] = 0,
    seed: Annotated[int, typer.Option(help="What neighbours draw from.")] = 1,
    temp_ttl: Annotated[int, typer.Option(help="Ledgers that a new temporary entry lives.")] = 17_280,
    history: Annotated[int, typer.Option(help="Ledgers whose transactions are kept.")] = 2_880,
    first_index: Annotated[int, typer.Option(help="Number of the block before the first.")] = 0,
    opener_reads_previous: Annotated[
        bool, typer.Option("--opener-reads-previous", help="The opening plant reads the last Block too.")
    ] = False,
    faults: Annotated[Path | None, typer.Option(metavar="FILE", help="What goes wrong, as TOML.")] = None,
) -> None:
    """Run a local Stellar + KALE network until Ctrl-C.

    It speaks the Stellar RPC protocol on 127.0.0.1; GET / says who and where it is. Accounts are
    funded at /friendbot?addr=G... . Nothing is kept when it ends.
    """
    output = output_of(ctx)
    if output.network not in (None, "local"):
        raise UsageError(f"the devnet is the local network, not {output.network}", hint="leave out --network")
    check_range("--port", port, 0, 65_535)
    check_range("--speed", speed, 0.01, _MAX_SPEED)
    check_range("--ledger-seconds", ledger_seconds, 1.0, 60.0)
    check_range("--neighbours", neighbours, 0, _MAX_NEIGHBOURS)
    check_range("--temp-ttl", temp_ttl, _MIN_TTL, 3_110_400)
    check_range("--history", history, 1, 1_000_000)
    check_range("--first-index", first_index, 0, 2**31)
    # Late: --help and a wrong word need none of the network.
    from kalepool.devnet.devnet import Devnet  # noqa: PLC0415
    from kalepool.devnet.faults import load_plan  # noqa: PLC0415
    from kalepool.devnet.ledger import LedgerSettings  # noqa: PLC0415
    from kalepool.devnet.neighbours import Neighbours  # noqa: PLC0415
    from kalepool.devnet.server import HOST, Server, listen  # noqa: PLC0415

    plan = None if faults is None else load_plan(faults)
    listener = listen(port)
    settings = LedgerSettings(
        genesis_time=genesis_time(speed),
        ledger_seconds=ledger_seconds,
        temporary_ttl=temp_ttl,
        history_ledgers=history,
        first_index=first_index,
        opener_reads_previous=opener_reads_previous,
    )
    network = Devnet(settings, plan, f"http://{HOST}:{listener.getsockname()[1]}")
    if neighbours:
        Neighbours(network.ledger, neighbours, seed)
    server = Server(network, listener, speed=speed)
    network.on_close.append(_Log(output, network))
    asyncio.run(_run(server, lambda: _announce(output, server, neighbours)))
    output.note("stopped")


async def _run(server: Server, announce: Callable[[], None]) -> None:
    """Serve until Ctrl-C, or a service manager's SIGTERM: the way to end it is no failure."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    # Not before: whoever reads it may send a signal at once.
    announce()
    await server.run()


def genesis_time(speed: float) -> int:
    """Give the close time of the first ledger: now, or at another speed a year ago.

    Clients put time bounds on transactions by their own clock. A network that runs faster than the
    clock must not run ahead of it, or their transactions would arrive too late.
    """
    now = int(time.time())
    return now if speed == 1.0 else now - _BEHIND_S


def _announce(output: Output, server: Server, neighbours: int) -> None:
    data: dict[str, Any] = server.describe() | {
        "neighbours": neighbours,
        "admin_url": f"{server.devnet.base_url}/admin",
        "admin_token": server.application.admin_token,
    }
    labels = {
        "rpc_url": "RPC",
        "friendbot_url": "friendbot",
        "passphrase": "passphrase",
        "kale_asset": "KALE asset",
        "sac_contract": "asset contract",
        "kale_contract": "KALE contract",
        "tractor_contract": "tractor",
        "admin_url": "admin",
        "admin_token": "admin token",
    }
    if output.json:
        output.emit_document("devnet", data)
        return
    lines = [f"{label:<15} {data[name]}" for name, label in labels.items()]
    output.write("\n".join(lines))
    output.note(
        f"A local network at {server.speed:g}x with {neighbours} neighbours. Ctrl-C ends it; nothing is kept."
    )


class _Log:
    """Tells of blocks that open and, each minute of ledger time, of what was done."""

    def __init__(self, output: Output, network: Devnet) -> None:
        self._output = output
        self._network = network
        self._index = network.ledger.farm.index
        self._seen: Counter[str] = Counter()

    def __call__(self, closed: ClosedLedger) -> None:
        """Take note of a ledger that has closed."""
        self._seen += self._network.ledger.deeds(closed)
        self._seen["transactions"] += len(closed.transactions)
        self._seen["failed"] += sum(not applied.result.is_success for applied in closed.transactions)
        when = time.strftime("%H:%M:%S", time.gmtime(closed.close_time))
        farm = self._network.ledger.farm
        if farm.index != self._index:
            self._index = farm.index
            self._output.note(f"{when}  block {farm.index} opens{_ranges(self._network)}")
        if closed.sequence % _LEDGERS_A_LINE == 0:
            done = ", ".join(f"{count} {deed}" for deed, count in sorted(self._seen.items()) if count)
            self._output.note(f"{when}  ledger {closed.sequence}, block {farm.index}: {done or 'nothing'}")
            self._seen.clear()


def _ranges(network: Devnet) -> str:
    """Word the ranges of the current block; empty where it has none yet."""
    block = network.ledger.block(network.ledger.farm.index)
    if block is None or block.max_zeros == 0:
        return ""
    return (
        f": gap {block.min_gap} to {block.max_gap}, zeros {block.min_zeros} to {block.max_zeros},"
        f" stake up to {format_amount(block.max_stake)}"
    )
