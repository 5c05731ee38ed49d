"""What people write down is read exactly, or refused with a reason: never half, never with a traceback."""

from __future__ import annotations

import csv
import io
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kalepool.core.address import account_address, contract_address
from kalepool.core.farmers import Stake
from kalepool.core.roster import (
    MAX_CSV_BYTES,
    MAX_FARMERS,
    Applicant,
    RosterError,
    check_name,
    format_bps,
    numbered,
    parse_bps,
    parse_csv,
    parse_email,
    parse_payout,
    parse_stake,
)
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_A = TypeVar("_A")
_B = TypeVar("_B")

ADDRESS = account_address(bytes(range(32)))
SEED = "SBGWSG6BTNCKCOB3DIFBGCVMUPQFYPA2G4O34RMTB343OYPXU5DJDVMN"

names = st.from_regex(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,63}", fullmatch=True)
stakes = st.builds(Stake, bps=st.integers(0, 10_000)) | st.builds(Stake, stroops=st.integers(0, 2**63 - 1))
applicants = st.builds(
    Applicant,
    name=names,
    email=st.none() | st.just("name@example.org"),
    payout=st.none() | st.binary(min_size=32, max_size=32).map(account_address),
    stake=st.none() | stakes,
    share_bps=st.none() | st.integers(0, 10_000),
)


def outcome(read: Callable[[_A], _B], given_: _A) -> _B | UsageError:
    """Give what was read, or why not."""
    try:
        return read(given_)
    except UsageError as error:
        return error


def amount(stroops: int) -> str:
    return f"{stroops // 10**7}.{stroops % 10**7:07d}"


def written(stake: Stake | None) -> str:
    if stake is None:
        return ""
    return format_bps(stake.bps) if stake.bps is not None else amount(stake.stroops or 0)


@given(stakes)
def test_a_stake_survives_being_written_and_read(stake: Stake) -> None:
    assert parse_stake(written(stake)) == stake


@given(st.text(max_size=30))
@example("1e3")
@example("NaN%")
@example("\u0661\u0660%")
@example("\0")
def test_any_text_is_a_stake_exactly_or_refused(text: str) -> None:
    stake = outcome(parse_stake, text)
    if isinstance(stake, UsageError):
        assert stake.hint
        return
    number = Fraction(text.strip().removesuffix("%"))
    if stake.bps is not None:
        assert Fraction(stake.bps, 100) == number
    else:
        assert stake.stroops is not None
        assert Fraction(stake.stroops, 10**7) == number


@pytest.mark.parametrize(
    "text",
    ["", "abc", "101%", "100.01%", "-1", "-1%", "1e3", "0.12345678", "0.001%", "1,5", "%", "1 %%", "+1"],
)
def test_what_is_no_stake_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a stake"):
        parse_stake(text)


@pytest.mark.parametrize(("text", "bps"), [("90%", 9_000), ("90", 9_000), ("0.01%", 1), ("100", 10_000)])
def test_a_share_is_a_percentage_with_or_without_its_sign(text: str, bps: int) -> None:
    assert parse_bps(text, "a share") == bps


@pytest.mark.parametrize("name", ["", "-a", "a b", "a" * 65, "ä", "a\n", "a/b", "a\0"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


@pytest.mark.parametrize("count", [0, -1, MAX_FARMERS + 1])
def test_so_many_farmers_at_once_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match="at once"):
        numbered("f", count)


@pytest.mark.parametrize(
    ("text", "message"),
    [(contract_address(bytes(32)), "contract"), (ADDRESS[:-1] + "A", "checksum"), ("GABC", "not an address")],
)
def test_what_is_no_payout_address_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_payout(text)


@pytest.mark.parametrize("text", ["", "a", "a@", "@b", "a b@c", "a@b@c", "a@b\n@", "a" * 250 + "@b.org"])
def test_what_is_no_e_mail_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_email(text)


def table(found: list[Applicant], ending: str = "\r\n") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=ending)
    writer.writerow(["name", "email", "payout", "stake", "share"])
    for one in found:
        share = "" if one.share_bps is None else format_bps(one.share_bps)
        writer.writerow([one.name, one.email or "", one.payout or "", written(one.stake), share])
    return out.getvalue().encode()


@given(
    st.lists(applicants, min_size=1, max_size=8, unique_by=lambda one: one.name),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_a_table_survives_being_written_and_read_with_any_ending_and_mark(
    found: list[Applicant], ending: str, marked: bool
) -> None:
    data = (b"\xef\xbb\xbf" if marked else b"") + table(found, ending)
    read = parse_csv(data)
    assert [one for _, one in read] == found
    assert [line for line, _ in read] == list(range(2, len(found) + 2))


@given(
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: ("name,stake\n" + text).encode("utf-8", "replace"))
)
@example(b'name\n"')
@example(b"name\n\0")
@example(b'name\n"a\nb"\n')
@example(b"name,name\na,b")
@example(b"\xff\xfe")
def test_any_bytes_are_farmers_or_refused_with_lines(data: bytes) -> None:
    found = outcome(parse_csv, data)
    if isinstance(found, UsageError):
        assert isinstance(found, RosterError)
        assert found.faults
        assert all(fault.line >= 1 and fault.what for fault in found.faults)
        assert "\n" not in found.message
        return
    assert found
    for _, applicant in found:
        assert check_name(applicant.name) == applicant.name
    assert len({applicant.name for _, applicant in found}) == len(found)


def test_every_fault_is_told_by_its_line() -> None:
    data = f"""name,email,payout,stake,share
good,,,10%,
-bad,x,,,
,a@b.c,,,
good,,,,
multi,,"G
ABC",,
last,,{ADDRESS},1e3,200%,extra
""".encode()
    with pytest.raises(RosterError) as caught:
        parse_csv(data)
    assert [fault.line for fault in caught.value.faults] == [3, 3, 4, 5, 6, 8]
    assert "stands in line 2 already" in caught.value.faults[3].what
    assert caught.value.message.startswith("the file has 6 faults, first in line 3")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"name\n", "no farmer"),
        (b"stake\n10%\n", "name is missing"),
        (b"name,secret\na,b\n", "no column 'secret'"),
        (b"name;stake\na;b\n", "no column"),
        (b"name,name\na,b\n", "twice"),
        ("name\nä\n".encode("latin-1"), "line 2: this is not UTF-8"),
        (b'name\n"a\n', "not CSV"),
        (b"name\n" + b"x" * MAX_CSV_BYTES, "larger than"),
        (b"name\n" + b"".join(b"f%d\n" % n for n in range(MAX_FARMERS + 1)), "more than 10000"),
    ],
)
def test_a_file_that_is_no_table_of_farmers_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(RosterError, match=message):
        parse_csv(data)


def test_columns_stand_in_any_order_and_case_and_rows_may_be_short_or_empty() -> None:
    found = parse_csv(b"Stake , NAME\n5%,anna\n\n,bert\n ,cleo,,\n")
    assert found == [
        (2, Applicant("anna", stake=Stake(bps=500))),
        (4, Applicant("bert")),
        (5, Applicant("cleo")),
    ]


@pytest.mark.parametrize("column", ["name", "email", "payout", "stake", "share"])
def test_a_seed_in_the_wrong_column_is_not_repeated(column: str) -> None:
    heading = column if column == "name" else f"name,{column}"
    row = SEED if column == "name" else f"a,{SEED}"
    with pytest.raises(RosterError) as caught:
        parse_csv(f"{heading}\n{row}\n".encode())
    assert SEED[:20] not in caught.value.message + "".join(fault.what for fault in caught.value.faults)
