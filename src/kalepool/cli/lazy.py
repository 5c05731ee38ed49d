"""Commands that are loaded when they are asked for: one that runs does not pay for the others.

``--help`` lists all of them from the table, without loading any.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator


class Entry(NamedTuple):
    """Where a command is, and what it is for.

    Attributes:
        place: module under ``cli.commands``, and the name in it where that is another than the command's.
        about: one line for the list of commands.
    """

    place: str
    about: str


COMMANDS: Final[dict[str, Entry]] = {
    "init": Entry("init", "Make the configuration, the store and the vault."),
    "doctor": Entry("doctor", "Check whether this machine can mine, and what to mend."),
    "farmer": Entry("farmer", "Add farmers, change their terms, let them leave."),
    "wallet": Entry("wallet", "Accounts, balances and keys."),
    "mine": Entry("mine", "Plant, grind, work and harvest, until stopped."),
    "harvest": Entry("harvest", "Harvest everything there is, then end: for cron."),
    "plant": Entry("mine:plant", "Plant once, in the block that is open."),
    "work": Entry("mine:work", "Work every planted pail once."),
    "status": Entry("status", "Show where the pool stands, by what was last seen."),
    "report": Entry("report", "Show what was earned and spent."),
    "settle": Entry("settle", "Work out what is owed to whom."),
    "payout": Entry("payout", "Pay what is owed."),
    "plan": Entry("plan", "Show what would be done in this block, and why."),
    "backtest": Entry("backtest", "Replay recorded blocks, for our policies and usual bots."),
    "audit": Entry("audit", "Show who did what when, and verify the log."),
    "db": Entry("db", "Copy the store, check it, export it, roll up what is old."),
    "bench": Entry("bench", "Measure how fast this machine hashes."),
    "devnet": Entry("devnet", "Run a local Stellar and KALE network."),
    "demo": Entry("demo", "Farm some blocks on a local network, and show the result."),
}


class _Commands(dict[str, Any]):
    """The commands by name; a value is loaded when it is taken."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(COMMANDS))

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is None:
            self[name] = _load(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - this is the get

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        return ((name, self[name]) for name in self)


class Program(TyperGroup):
    """All commands of the program."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**(more | {"commands": _Commands()}))

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """Give the names, in the order in which they are met."""
        return list(self.commands)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ARG002
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.about) for name, entry in COMMANDS.items()])


def _load(name: str) -> Any:
    module, _, attribute = COMMANDS[name].place.partition(":")
    found = getattr(importlib.import_module(f"kalepool.cli.commands.{module}"), attribute or name)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.callback()(
        lambda: None
    )  # so that it stays a group, from which the command is taken as the program's own
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    group: Any = typer.main.get_command(alone)
    return group.commands[name]
