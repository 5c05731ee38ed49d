"""The store as plain files: what somebody else's program, or a spreadsheet, can read. No signed envelope leaves."""

from __future__ import annotations

import csv
import json
from typing import IO, TYPE_CHECKING, Any, Final

from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.adapters.store.db import Store

_AT_ONCE: Final = 10_000

TABLES: Final = {
    "farmers": "SELECT * FROM farmers ORDER BY number",
    "farmer_moves": "SELECT * FROM farmer_moves ORDER BY id",
    "agreement_life": "SELECT * FROM agreement_life ORDER BY farmer, place",
    "terms": "SELECT * FROM terms ORDER BY farmer, version",
    "blocks": "SELECT * FROM blocks ORDER BY block",
    "pails": "SELECT * FROM pails ORDER BY block, farmer",
    "unsettled": "SELECT * FROM unsettled ORDER BY block, farmer",
    "pail_totals": "SELECT * FROM pail_totals ORDER BY farmer, state",
    "pail_fees": "SELECT * FROM pail_fees ORDER BY block, farmer",
    "day_fees": "SELECT * FROM day_fees ORDER BY day",
    "other_fees": "SELECT * FROM other_fees ORDER BY entry",
    "hashing": "SELECT * FROM hashing ORDER BY block",
    "days": "SELECT * FROM days ORDER BY day",
    "pail_days": "SELECT * FROM pail_days ORDER BY day, farmer",
    "entries": "SELECT * FROM entries ORDER BY number",
    "postings": "SELECT * FROM postings ORDER BY entry, account, asset",
    "brief_entries": "SELECT * FROM brief_entries ORDER BY at, key",
    "day_postings": "SELECT * FROM day_postings ORDER BY day, account, asset",
    "balances": "SELECT * FROM balances ORDER BY account, asset",
    "intents": "SELECT * FROM intents ORDER BY number",
    "intent_items": "SELECT intent, item FROM intent_items ORDER BY intent, item",
    "reserves": "SELECT * FROM reserves ORDER BY intent, account, asset",
    "channels": "SELECT number, address FROM channels ORDER BY number",
    "attempts": (
        "SELECT intent, number, inner_hash, outer_hashes, source, sequence, max_time, signed_ledger, verdict "
        "FROM attempts ORDER BY intent, number"
    ),
    "brief_intents": "SELECT * FROM brief_intents ORDER BY intent, farmer, block",
    "audit": "SELECT * FROM audit ORDER BY number",
}
"""What is written, by file name. Amounts are stroops; bytes are hex."""


def export(store: Store, folder: Path, *, as_json: bool) -> dict[str, int]:
    """Write every table to a file of its own, as of one moment; give the number of rows of each.

    Args:
        store: open.
        folder: made, readable by its owner alone; nothing may be there yet.
        as_json: a list of objects a file, else CSV with a heading.

    Raises:
        ConfigError: when the folder is there already, or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700)
        with store.reading():
            return {
                name: _write(store, query, folder / f"{name}.{'json' if as_json else 'csv'}", as_json=as_json)
                for name, query in TABLES.items()
            }
    except FileExistsError:
        raise ConfigError(f"{folder} is there already", hint="give a name that is not taken") from None
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {error.strerror}", hint="check the path, its rights and the disk"
        ) from None


def _write(store: Store, query: str, path: Path, *, as_json: bool) -> int:
    with path.open("x", encoding="utf-8", newline="") as file:
        path.chmod(0o600)
        with store.translated():
            cursor = store.connection.execute(query)
            names = [column[0] for column in cursor.description]
            rows = _rows(cursor)
            return _json(file, names, rows) if as_json else _csv(file, names, rows)


def _rows(cursor: Any) -> Iterator[list[object]]:
    while rows := cursor.fetchmany(_AT_ONCE):
        for row in rows:
            yield [value.hex() if isinstance(value, bytes) else value for value in row]


def _csv(file: IO[str], names: list[str], rows: Iterator[list[object]]) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007 - how many there were
        writer.writerow(row)
    return count


def _json(file: IO[str], names: list[str], rows: Iterator[list[object]]) -> int:
    count = 0
    file.write("[")
    for count, row in enumerate(rows, start=1):
        file.write("\n" if count == 1 else ",\n")
        # Some stroops are beyond what a reader of JSON takes exactly; a person's tool can turn text into numbers.
        file.write(json.dumps({name: _exact(value) for name, value in zip(names, row, strict=True)}))
    file.write("\n]\n")
    return count


def _exact(value: object) -> object:
    largest = 2**53 - 1
    return str(value) if isinstance(value, int) and abs(value) > largest else value
