"""``kalepool status``: one screen of where the pool stands."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.output import Output, output_of, stdout_console
from kalepool.cli.running import open_pool, run_async
from kalepool.cli.wording import ago, amount, count, duration, instant
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Group

    from kalepool.bootstrap import Pool
    from kalepool.services.reporting import Status

_MANY_DAYS = 999
_PAILS = ("planted", "worked", "harvestable", "harvested", "forfeited", "expired")


def status(
    ctx: typer.Context,
    watch: Annotated[
        float | None, typer.Option("--watch", metavar="SECONDS", help="Show it again every so many seconds.")
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask the network first.")] = False,
) -> None:
    """Show where the pool stands, by what was last seen."""
    output = output_of(ctx)
    if watch is not None and not 0.1 <= watch <= 86_400:  # noqa: PLR2004 - a tenth of a second to a day
        raise UsageError("--watch takes 0.1 to 86400 seconds", hint="such as --watch 5")
    with open_pool(output, "status") as pool:

        def read() -> Status:
            if refresh:
                run_async(_look(pool))
            return pool.reporting.status(pool.machine_time())

        if watch is None:
            found = read()
            output.emit("status", data(pool, found), lambda console: console.print(screen(pool, found)))
        else:
            _watch(output, pool, read, watch)


async def _look(pool: Pool) -> None:
    from kalepool.services.reporting import refresh  # noqa: PLC0415

    # The store before the vault: where neither is there, `init` is what is missing.
    views, blocks = pool.views, pool.blocks
    try:
        await refresh(pool.chain, views, blocks, pool.addresses.operator, pool.machine_time())
    finally:
        await pool.rpc.close()
        # The next look has another event loop, and needs connections of its own.
        for made in ("chain", "rpc"):
            pool.__dict__.pop(made, None)


def _watch(output: Output, pool: Pool, read: Callable[[], Status], seconds: float) -> None:
    """Show it until Ctrl-C; on a terminal in one place, else one screen below the other."""
    try:
        if output.json:
            while True:
                output.emit_document("status", data(pool, read()))
                time.sleep(seconds)
        console = stdout_console()
        if console.is_dumb_terminal or not console.is_terminal:
            while True:
                console.print(screen(pool, read()))
                console.print()
                sys.stdout.flush()
                time.sleep(seconds)
        from rich.live import Live  # noqa: PLC0415

        with Live(screen(pool, read()), console=console, auto_refresh=False, screen=True) as live:
            while True:
                time.sleep(seconds)
                live.update(screen(pool, read()), refresh=True)
    except KeyboardInterrupt:
        return


def data(pool: Pool, found: Status) -> dict[str, Any]:
    """Give what ``--json`` prints."""
    view, overview, holder = found.view, found.overview, found.overview.holder
    return {
        "network": pool.known.name,
        "ledger": view and view.ledger,
        "closed_at": view and instant(view.close_time),
        "seen_at": view and instant(view.seen_at),
        "seen_age_s": view and round(found.view_age_s, 1),
        "paused": view and view.paused,
        "block": _block(found),
        "farmers": {state.value: number for state, number in overview.farmers.items()},
        "pails": {state.value: number for state, number in overview.pails.items()},
        "stakes": {"at_work_stroops": str(overview.at_work)},
        "operator": {
            "xlm_stroops": None if view is None else str(view.operator_xlm),
            "day_fees_stroops": None if found.day_fees is None else str(found.day_fees),
            "days_left": None if found.days_left is None else round(found.days_left, 1),
        },
        "mining": {
            "running": found.mining,
            "hashrate_mhs": round(found.hashrate / 1e6, 3),
            "pid": holder.pid if found.mining and holder else None,
            "since": instant(holder.since) if found.mining and holder else None,
            "heartbeat": instant(holder.heartbeat) if found.mining and holder else None,
        },
        "intents": {"open": overview.open_intents, "unresolved": overview.unresolved},
        "warnings": [{"message": notice.what, "hint": notice.do} for notice in found.notices],
    }


def _block(found: Status) -> dict[str, Any] | None:
    if found.view is None:
        return None
    if found.block is None:
        return {"index": found.view.block}
    block = found.block.block
    return {
        "index": found.block.index,
        "age_s": found.block_age_s,
        "min_gap": block.min_gap,
        "max_gap": block.max_gap,
        "min_zeros": block.min_zeros,
        "max_zeros": block.max_zeros,
        "min_stake_stroops": str(block.min_stake),
        "max_stake_stroops": str(block.max_stake),
    }


def screen(pool: Pool, found: Status) -> Group:
    """Draw it: at most 80 columns."""
    from rich.console import Group  # noqa: PLC0415 - not needed for --json
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for label, text in _facts(pool, found):
        facts.add_row(label, Text(text))
    pails = Table(box=None, padding=(0, 0, 0, 2), pad_edge=False)
    pails.add_column("", style="bold", no_wrap=True)
    for state in _PAILS:
        pails.add_column(state, justify="right", no_wrap=True)
    by_name = {state.value: number for state, number in found.overview.pails.items()}
    pails.add_row("pails", *(count(by_name[state]) for state in _PAILS))
    notes = [
        Text.assemble(("warning: ", "yellow"), notice.what, "\n         ", notice.do)
        for notice in found.notices
    ]
    return Group(facts, Text(), pails, *([Text(), *notes] if notes else []))


def _facts(pool: Pool, found: Status) -> list[tuple[str, str]]:
    overview = found.overview
    farmers = [f"{count(number)} {state}" for state, number in overview.farmers.items() if number]
    rows = [
        ("network", _network(pool, found)),
        ("block", _block_text(found)),
        ("farmers", ", ".join(farmers) or "none; add one with: kalepool farmer add"),
        ("at work", f"{amount(overview.at_work)} KALE staked"),
        ("operator", _operator(found)),
        ("mining", _mining(pool, found)),
    ]
    if overview.open_intents or overview.unresolved:
        unresolved = f", {overview.unresolved} unresolved" if overview.unresolved else ""
        rows.append(("sending", f"{count(overview.open_intents)} under way{unresolved}"))
    return rows


def _network(pool: Pool, found: Status) -> str:
    if found.view is None:
        return f"{pool.known.name}, not looked at yet"
    return f"{pool.known.name}, ledger {count(found.view.ledger)}, seen {ago(found.view_age_s)}"


def _block_text(found: Status) -> str:
    if found.view is None:
        return "-"
    if found.block is None or found.block_age_s is None:
        return count(found.view.block)
    block = found.block.block
    stakes = f"{amount(block.min_stake)} to {amount(block.max_stake)} KALE"
    return (
        f"{count(found.block.index)}, open for {duration(found.block_age_s)}\n"
        f"gap {block.min_gap} to {block.max_gap}, zeros {block.min_zeros} to {block.max_zeros}, stake {stakes}"
    )


def _operator(found: Status) -> str:
    if found.view is None:
        return "-"
    text = f"{amount(found.view.operator_xlm)} XLM"
    if found.days_left is None or found.day_fees is None:
        return text
    days = f"{int(found.days_left)}" if found.days_left < _MANY_DAYS else f"over {_MANY_DAYS}"
    return f"{text}, for {days} days at {amount(found.day_fees)} XLM a day"


def _mining(pool: Pool, found: Status) -> str:
    holder = found.overview.holder
    if holder is None:
        return "not running"
    if not holder.alive:
        return f"not running: `{holder.role}` (pid {holder.pid}) ended without a word"
    now = pool.machine_time()
    return (
        f"`{holder.role}` running for {duration(now - holder.since)} (pid {holder.pid} on {holder.host})\n"
        f"{found.hashrate / 1e6:.1f} Mh/s, last sign of life {ago(now - holder.heartbeat)}"
    )
