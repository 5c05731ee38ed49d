"""Messages under seals: whatever differs in what they vouch for, differs in their bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kalepool.core.farmers import Custody, Farmer, FarmerState, Stake, Terms
from kalepool.core.records import AuditRow
from kalepool.core.sealing import audit_entry, terms_message

FARMER = Farmer(7, "ada", "GA", Custody.CUSTODIAL, FarmerState.ACTIVE, 3, Terms(payout="GP"))


@pytest.mark.parametrize(
    "other",
    [
        replace(FARMER, number=8),
        replace(FARMER, name="bob"),
        replace(FARMER, address="GB"),
        replace(FARMER, custody=Custody.WATCHED),
        replace(FARMER, terms=replace(FARMER.terms, payout="GQ")),
        replace(FARMER, terms=replace(FARMER.terms, payout=None)),
        replace(FARMER, terms=replace(FARMER.terms, share_bps=1)),
        replace(FARMER, terms=replace(FARMER.terms, fee_bps=1)),
        replace(FARMER, terms=replace(FARMER.terms, harvest_every=2)),
        replace(FARMER, terms=replace(FARMER.terms, stake=Stake(stroops=1_000))),
        replace(FARMER, terms=replace(FARMER.terms, stake=Stake(bps=999))),
        replace(FARMER, terms=replace(FARMER.terms, payout_from=1)),
        replace(FARMER, terms=replace(FARMER.terms, payout_every_h=1)),
        replace(FARMER, terms=replace(FARMER.terms, exit_delay_h=0)),
        replace(FARMER, terms=replace(FARMER.terms, memo="7")),
    ],
)
def test_terms_of_another_farmer_or_of_another_content_are_another_message(other: Farmer) -> None:
    assert terms_message(other, other.terms, 0) != terms_message(FARMER, FARMER.terms, 0)


def test_a_seal_of_before_payouts_had_terms_still_holds() -> None:
    assert terms_message(FARMER, FARMER.terms, 5) == (
        b'["terms",{"address":"GA","custody":"custodial","farmer":7,"fee_bps":0,"from_block":5,'
        b'"harvest_every":1,"name":"ada","payout":"GP","share_bps":10000,"stake_bps":1000,"stake_stroops":null}]'
    )


def test_terms_from_another_block_are_another_message() -> None:
    assert terms_message(FARMER, FARMER.terms, 1) != terms_message(FARMER, FARMER.terms, 0)


def test_a_farmers_state_and_mail_are_not_terms() -> None:
    moved = replace(FARMER, state=FarmerState.PAUSED, email="ada@example.org")
    assert terms_message(moved, moved.terms, 0) == terms_message(FARMER, FARMER.terms, 0)


def test_a_row_of_the_audit_log_is_covered_whole_but_for_its_link() -> None:
    row = AuditRow(1, 5.5, "ada", "paused bob", b"")
    rows = [row, replace(row, number=2), replace(row, at=6.0), replace(row, who="b"), replace(row, what="c")]
    assert len({audit_entry(one) for one in rows}) == len(rows)
    assert audit_entry(replace(row, chain=bytes(32))) == audit_entry(row)
