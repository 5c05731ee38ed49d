"""Farmers as a person writes them down: names, stakes, shares, payout addresses, a file of many.

What is read here comes from files and command lines of any origin: whatever is in it, the answer is a
value or a ``UsageError`` that says what would do.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from kalepool.core.address import is_account, raw_key
from kalepool.core.amounts import STROOPS_PER_UNIT, parse_amount
from kalepool.core.farmers import BPS, Stake
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")

MAX_FARMERS: Final = 10_000
"""Farmers that are added at once, at most: as many as wallets are looked for by address."""
MAX_CSV_BYTES: Final = 4 * 1024 * 1024
_MAX_EMAIL: Final = 254  # RFC 5321
_NAME: Final = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,63}", re.ASCII)
_SEED: Final = re.compile(r"S[A-Z2-7]{55}")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_COLUMNS: Final = ("name", "email", "payout", "stake", "share")


@dataclass(frozen=True, slots=True)
class Applicant:
    """Somebody who is to become a farmer. What is None is as the configuration says.

    Attributes:
        name: checked, but maybe taken.
        email: where to write to him, or None.
        payout: G address that his share is paid to, or None to leave it in his wallet.
        stake: what is planted for him.
        share_bps: his part of the reward after the fee, in basis points.
    """

    name: str
    email: str | None = None
    payout: str | None = None
    stake: Stake | None = None
    share_bps: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line of a file.

    Attributes:
        line: from 1, the heading counted.
        what: what is wrong and what would do.
    """

    line: int
    what: str


class RosterError(UsageError):
    """Lines of a file cannot be taken, so none was.

    Attributes:
        faults: each of them, by line.
    """

    def __init__(self, message: str, faults: Sequence[Fault], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)


def check_name(name: str) -> str:
    """Give a name that can be a farmer's.

    Raises:
        UsageError: when it is empty, longer than 64, begins with a dash, has other characters, or looks like
            a secret seed.
    """
    if _NAME.fullmatch(name) is None or _SEED.fullmatch(name):
        raise UsageError(
            f"{_shown(name)} cannot be a farmer's name",
            hint="a name has 1 to 64 letters, digits, dots, underscores and dashes, and no dash in front",
        )
    return name


def numbered(name: str, count: int) -> list[str]:
    """Give NAME-1 to NAME-count.

    Raises:
        UsageError: for a count out of range, or a name that does not do.
    """
    if not 1 <= count <= MAX_FARMERS:
        raise UsageError(f"{count} farmers cannot be added at once", hint=f"a count is 1 to {MAX_FARMERS}")
    return [check_name(f"{name}-{number}") for number in range(1, count + 1)]


def parse_bps(text: str, what: str) -> int:
    """Read a percentage such as ``12.5%`` or ``12.5`` as basis points.

    Args:
        text: what was written.
        what: what it is, for messages: "a share".

    Raises:
        UsageError: when it is no percentage of 0 to 100, or is finer than a hundredth of a percent.
    """
    hint = f"{what} is 0% to 100%, with at most two decimals"
    try:
        amount: int = parse_amount(text.strip().removesuffix("%"))
    except UsageError:
        raise UsageError(f"{_shown(text)} is not {what}", hint=hint) from None
    bps, rest = divmod(amount * 100, STROOPS_PER_UNIT)
    if rest or bps > BPS:
        raise UsageError(f"{_shown(text)} is not {what}", hint=hint)
    return bps


def parse_stake(text: str) -> Stake:
    """Read a stake: ``10%`` of the balance, or ``2.5`` KALE.

    Raises:
        UsageError: when it is neither.
    """
    written = text.strip()
    if written.endswith("%"):
        return Stake(bps=parse_bps(written, "a stake"))
    try:
        return Stake(stroops=parse_amount(written))
    except UsageError:
        raise UsageError(
            f"{_shown(text)} is not a stake",
            hint="a stake is a part of the balance such as 10%, or KALE such as 2.5, with at most seven decimals",
        ) from None


def format_bps(bps: int) -> str:
    """Write basis points as a percentage without trailing zeros: 1250 gives ``12.5%``."""
    whole, fraction = divmod(bps, 100)
    decimals = f"{fraction:02d}".rstrip("0")
    return f"{whole}.{decimals}%" if decimals else f"{whole}%"


def parse_payout(text: str) -> str:
    """Read a payout address.

    Raises:
        UsageError: when it is no G address, or its checksum is wrong.
    """
    address = text.strip()
    raw_key(address)
    if not is_account(address):
        raise UsageError(
            "a contract cannot be a payout address", hint="shares are paid to accounts: G and 55 characters"
        )
    return address


def parse_email(text: str) -> str:
    """Read an e-mail address; whether it exists is not known here.

    Raises:
        UsageError: when it cannot be one.
    """
    address = text.strip()
    if not (_EMAIL.fullmatch(address) and address.isprintable() and len(address) <= _MAX_EMAIL):
        raise UsageError(f"{_shown(text)} is not an e-mail address", hint="write it like name@example.org")
    return address


def parse_csv(data: bytes) -> list[tuple[int, Applicant]]:
    """Read a file of farmers: UTF-8, a heading of name, email, payout, stake, share, a farmer a row.

    Only the name is needed; an empty field is as the configuration says. Empty rows do not count, a byte
    order mark and any ends of lines are taken.

    Returns:
        (line, applicant) of each; no name twice.

    Raises:
        RosterError: with every fault of the file; then nothing of it is taken.
    """
    rows = _rows(data)
    if not rows:
        raise _refused([Fault(1, "the file is empty: its first line names the columns")])
    columns = [cell.strip().lower() for cell in rows[0][1]]
    _check_heading(rows[0][0], columns)
    found: list[tuple[int, Applicant]] = []
    faults: list[Fault] = []
    names: dict[str, int] = {}
    for line, cells in rows[1:]:
        applicant, wrong = _applicant(columns, cells)
        if applicant is not None and applicant.name in names:
            wrong.append(f"the name '{applicant.name}' stands in line {names[applicant.name]} already")
        if wrong or applicant is None:
            faults += [Fault(line, what) for what in wrong]
            continue
        names[applicant.name] = line
        found.append((line, applicant))
    if not found and not faults:
        faults = [Fault(1, "there is no farmer under the heading")]
    if faults:
        raise _refused(faults)
    return found


def _rows(data: bytes) -> list[tuple[int, list[str]]]:
    """Give the rows that are not empty, each with its first line."""
    if len(data) > MAX_CSV_BYTES:
        raise _refused([Fault(1, f"the file is larger than {MAX_CSV_BYTES} bytes")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _refused([Fault(line, "this is not UTF-8 text")]) from None
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
            line = reader.line_num + 1
            if len(rows) > MAX_FARMERS + 1:
                raise _refused([Fault(line, f"there are more than {MAX_FARMERS} farmers")])
    except csv.Error as error:
        raise _refused([Fault(line, f"this is not CSV: {error}")]) from None
    return rows


def _check_heading(line: int, columns: Sequence[str]) -> None:
    faults = [
        Fault(line, f"there is no column {_shown(column)}: columns are {', '.join(_COLUMNS)}")
        for column in dict.fromkeys(columns)
        if column not in _COLUMNS
    ]
    faults += [
        Fault(line, f"the column {column} stands there twice")
        for column in _COLUMNS
        if columns.count(column) > 1
    ]
    if "name" not in columns:
        faults.append(Fault(line, "the column name is missing"))
    if faults:
        raise _refused(faults)


def _applicant(columns: Sequence[str], cells: Sequence[str]) -> tuple[Applicant | None, list[str]]:
    """Give who stands in a row, or None, and all that is wrong with it."""
    if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
        return None, [f"there are {len(cells)} fields under {len(columns)} columns"]
    values = {column: cell.strip() for column, cell in zip(columns, cells, strict=False) if cell.strip()}
    wrong: list[str] = []

    def read(column: str, parse: Callable[[str], _T]) -> _T | None:
        try:
            return parse(values[column]) if column in values else None
        except UsageError as error:
            wrong.append(f"{error.message} ({error.hint})" if error.hint else error.message)
            return None

    name = read("name", check_name)
    if "name" not in values:
        wrong.append("the name is missing")
    applicant = Applicant(
        name=name or "",
        email=read("email", parse_email),
        payout=read("payout", parse_payout),
        stake=read("stake", parse_stake),
        share_bps=read("share", lambda text: parse_bps(text, "a share")),
    )
    return (applicant if name else None), wrong


def _refused(faults: Sequence[Fault]) -> RosterError:
    lines = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return RosterError(
        f"the file has {lines}, first in line {faults[0].line}: {faults[0].what}",
        faults,
        hint="mend the file and run this again: no farmer was added",
    )


def _shown(text: str) -> str:
    # A seed pasted into the wrong field must not reach a screen or a log.
    most = 40
    stripped = text.strip()
    if stripped.startswith("S") and len(stripped) > most:
        return "this text (not shown: it looks like a secret seed)"
    return repr(text if len(text) <= most else text[:most] + "...")
