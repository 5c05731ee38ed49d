"""``kalepool audit``: who did what when, and whether the log can be believed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from kalepool.cli.output import output_of
from kalepool.cli.running import PassphraseFile, open_pool
from kalepool.cli.telling import tell
from kalepool.errors import UnresolvedError

if TYPE_CHECKING:
    from rich.console import Console


def audit(
    ctx: typer.Context,
    last: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=10**9, help="Show the last N rows alone; all are verified."),
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Print who did what when, and verify every link of the log: what was tampered with shows."""
    from kalepool.keeping import forged_row  # noqa: PLC0415 - `--help` does without

    output = output_of(ctx)
    with open_pool(output, "audit", passphrase_file) as pool:
        rows, broken = pool.audit.rows(), forged_row(pool)
    shown = rows if last is None else rows[-last:]
    data = {
        "rows": [
            {"number": row.number, "at": _iso(row.at), "who": row.who, "what": row.what} for row in shown
        ],
        "verified": broken is None,
        "broken_from": broken,
    }

    def render(console: Console) -> None:
        for row in shown:
            console.print(
                f"{row.number:>6} {_iso(row.at)} {row.who}: {row.what}", markup=False, soft_wrap=True
            )
        if broken is None:
            console.print(f"{len(rows)} rows, every link holds", soft_wrap=True)

    error = UnresolvedError(
        f"the audit log was changed: from row {broken} on it is not what was written",
        hint="compare with a backup: somebody wrote to the store without this program",
    )
    tell(output, "audit", data, render, None if broken is None else error)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
