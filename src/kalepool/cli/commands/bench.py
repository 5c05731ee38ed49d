"""``kalepool bench``: hash rates, the share of the CPU's limit, and what they mean for a farm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.output import EXIT_CODES, output_of
from kalepool.cli.progress import progress_bar
from kalepool.errors import InternalError

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.benchmark import Report


def bench(
    ctx: typer.Context,
    seconds: Annotated[float, typer.Option(metavar="S", help="How long to time, in all.")] = 5.0,
    kernel: Annotated[str | None, typer.Option(metavar="NAME", help="Time only this kernel.")] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Time with N threads; else one a core.")
    ] = None,
) -> None:
    """Measure how fast this machine hashes, and check that it hashes right."""
    from kalepool.benchmark import measure  # noqa: PLC0415 - loads the engine; `--help` does without

    output = output_of(ctx)
    with progress_bar(output, "timing") as progress:
        report = measure(seconds, kernel=kernel, threads=threads, progress=progress)
    wrong = ", ".join(sorted({rate.name for rate in report.rates if not rate.right}))
    error = wrong and InternalError(
        f"wrong hashes from {wrong}",
        hint="use another kernel; if all are wrong, this machine computes wrongly",
    )
    if not error:
        output.emit("bench", _data(report), lambda console: _render(console, report))
    elif output.json:
        output.emit_document("bench", _data(report), error)
        raise typer.Exit(EXIT_CODES[InternalError])
    else:
        output.emit("bench", {}, lambda console: _render(console, report))
        raise error


def _data(report: Report) -> dict[str, Any]:
    from kalepool.benchmark import BLOCK_S, CHAIN_DIGEST  # noqa: PLC0415

    return {
        "cpu": report.cpu,
        "clock_ghz": round(report.clock_ghz, 3),
        "checksum": report.checksum,
        "checksum_expected": CHAIN_DIGEST,
        "kernels": [
            {
                "name": rate.name,
                "lanes": rate.lanes,
                "threads": rate.threads,
                "mhs": round(rate.mhs, 3),
                "mhs_median": round(rate.mhs_median, 3),
                "cycles_per_hash": round(rate.cycles_per_hash, 1),
                "limit_cycles": round(rate.limit_cycles, 1),
                "limit_share": round(rate.limit_share, 3),
                "scaling": round(rate.scaling, 3),
                "right": rate.right,
            }
            for rate in report.rates
        ],
        "block_s": BLOCK_S,
        "zeros_expected": [
            {"farmers": farmers, "zeros": round(zeros, 2)}
            for farmers, zeros in report.zeros_expected().items()
        ],
    }


def _render(console: Console, report: Report) -> None:
    from rich import box  # noqa: PLC0415 - not needed for --json
    from rich.table import Table  # noqa: PLC0415

    from kalepool.benchmark import BLOCK_S  # noqa: PLC0415

    console.print(f"{report.cpu}, {report.clock_ghz:.2f} GHz", markup=False)
    rates = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    rates.add_column("kernel", no_wrap=True)
    for heading in ("threads", "Mh/s", "median", "scaling", "cycles", "limit", "share"):
        rates.add_column(heading, justify="right", no_wrap=True)
    rates.add_column("found", no_wrap=True)
    for rate in report.rates:
        rates.add_row(
            rate.name,
            str(rate.threads),
            f"{rate.mhs:.2f}",
            f"{rate.mhs_median:.2f}",
            f"{rate.scaling:.2f}" if rate.threads > 1 else "",
            f"{rate.cycles_per_hash:.0f}",
            f"{rate.limit_cycles:.0f}",
            f"{rate.limit_share:.0%}",
            "right" if rate.right else "WRONG",
            style="" if rate.right else "bold red",
        )
    console.print(rates)
    console.print(
        "Mh/s: million hashes a second in the best window. cycles: of a core, for a hash;", markup=False
    )
    console.print(
        "limit: what its operations need at least on this CPU. share: how much of that.", markup=False
    )
    console.print(f"checksum {report.checksum}", markup=False, soft_wrap=True)
    zeros = Table(box=box.SIMPLE)
    zeros.add_column("farmers", justify="right")
    zeros.add_column(f"best zeros of each in a block of {BLOCK_S} s, on average", justify="right")
    for farmers, expected in report.zeros_expected().items():
        zeros.add_row(str(farmers), f"{expected:.2f}")
    console.print(zeros)
