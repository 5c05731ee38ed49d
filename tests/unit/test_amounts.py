"""Amounts: decimals in, integer stroops out, floats never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.amounts import MAX_I64, format_amount, parse_amount, stroops
from kalepool.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1", 10_000_000),
        ("2.5", 25_000_000),
        ("0.0000001", 1),
        ("922337203685.4775807", MAX_I64),
    ],
)
def test_decimal_is_read_as_stroops(text: str, expected: int) -> None:
    assert parse_amount(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1.",
        ".5",
        "1e3",
        "0.00000001",
        "1,5",
        " 1",
        "٣",
        "NaN",
        "922337203685.4775808",
        "9" * 13,
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_amount(text)
    assert caught.value.hint


@pytest.mark.parametrize("value", [1.0, True, "1", None])
def test_only_integers_are_stroops(value: object) -> None:
    with pytest.raises(UsageError):
        stroops(value)  # type: ignore[arg-type]


@given(st.integers(0, MAX_I64))
def test_what_is_written_reads_back(amount: int) -> None:
    assert parse_amount(format_amount(amount)) == amount


def test_a_debt_is_written_with_its_sign() -> None:
    assert format_amount(-15_000_000) == "-1.5"
