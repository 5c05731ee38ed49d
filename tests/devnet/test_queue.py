"""What a node answers to a transaction that arrives, and what becomes of those that wait."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stellar_sdk import (
    Asset,
    Keypair,
    LedgerBounds,
    SignerKey,
    TimeBounds,
    TransactionEnvelope,
    xdr,
)
from stellar_sdk.preconditions import Preconditions

from kalepool.devnet.ledger import LedgerSettings
from kalepool.devnet.validity import Limits
from support.devnet import KALE, XLM, Bench, keypair, refusal, sign

NATIVE = Asset.native()


def payment(bench: Bench, source: Keypair, amount: str = "1", **builder: int) -> TransactionEnvelope:
    friendbot = bench.identity.friendbot.public_key
    envelope = bench.builder(source, **builder).append_payment_op(friendbot, NATIVE, amount).build()
    return sign(envelope, source)


def with_conditions(
    bench: Bench, source: Keypair, conditions: Preconditions, ahead: int = 0
) -> TransactionEnvelope:
    envelope = payment(bench, source, ahead=ahead)
    envelope.signatures.clear()
    envelope.transaction.preconditions = conditions
    return sign(envelope, source)


def narrow(**limits: int) -> Bench:
    return Bench(LedgerSettings(limits=replace(Limits(), **limits)))


# Codes of refusal


def test_a_sequence_number_must_be_the_next(bench: Bench) -> None:
    sender = bench.account("sender")
    assert refusal(bench.send(payment(bench, sender, ahead=1))) == "txBAD_SEQ"
    assert refusal(bench.send(payment(bench, sender, ahead=-1))) == "txBAD_SEQ"
    assert bench.send(payment(bench, sender))["status"] == "PENDING"


def test_a_transaction_that_has_landed_is_answered_with_a_bad_sequence_number(bench: Bench) -> None:
    sender = bench.account("sender")
    envelope = payment(bench, sender)
    assert bench.land(envelope).result.is_success
    assert refusal(bench.send(envelope)) == "txBAD_SEQ"


def test_an_account_that_is_not_there_sends_nothing(bench: Bench) -> None:
    assert refusal(bench.send(payment(bench, keypair("nobody")))) == "txNO_ACCOUNT"


def test_signatures_must_be_the_sources_and_no_others(bench: Bench) -> None:
    sender, stranger = bench.account("sender"), keypair("stranger")
    unsigned = payment(bench, sender)
    unsigned.signatures.clear()
    assert refusal(bench.send(unsigned)) == "txBAD_AUTH"
    assert refusal(bench.send(sign(payment(bench, sender), stranger))) == "txBAD_AUTH_EXTRA"
    forged = payment(bench, sender)
    forged.signatures[0].signature = bytes(64)
    assert refusal(bench.send(forged)) == "txBAD_AUTH"


def test_a_fee_below_100_an_operation_is_refused_and_the_right_one_is_told(bench: Bench) -> None:
    sender = bench.account("sender")
    answer = bench.send(payment(bench, sender, fee=99))
    assert refusal(answer) == "txINSUFFICIENT_FEE"
    assert xdr.TransactionResult.from_xdr(answer["errorResultXdr"]).fee_charged.int64 == 100


def test_a_fee_that_would_touch_the_reserve_is_refused(bench: Bench) -> None:
    sender = bench.account("sender", xlm=1)
    assert refusal(bench.send(payment(bench, sender))) == "txINSUFFICIENT_BALANCE"


def test_a_transaction_without_operations_is_refused(bench: Bench) -> None:
    sender = bench.account("sender")
    envelope = sign(bench.builder(sender).build(), sender)
    assert refusal(bench.send(envelope)) == "txMISSING_OPERATION"


@pytest.mark.parametrize(
    ("min_after", "max_after", "code"),
    [
        (0, None, "PENDING"),
        (1, None, "txTOO_EARLY"),
        (None, 0, "PENDING"),
        (None, -1, "txTOO_LATE"),
        (-5, 60, "PENDING"),
    ],
)
def test_time_bounds_are_held_against_the_last_closed_ledger_inclusive(
    bench: Bench, min_after: int | None, max_after: int | None, code: str
) -> None:
    sender, now = bench.account("sender"), bench.ledger.latest.close_time
    bounds = TimeBounds(
        0 if min_after is None else now + min_after, 0 if max_after is None else now + max_after
    )
    answer = bench.send(with_conditions(bench, sender, Preconditions(time_bounds=bounds)))
    assert refusal(answer) == code


@pytest.mark.parametrize(
    ("low", "high", "code"),
    [(1, 0, "PENDING"), (2, 0, "txTOO_EARLY"), (0, 1, "txTOO_LATE"), (0, 2, "PENDING"), (1, 2, "PENDING")],
)
def test_ledger_bounds_are_held_against_the_next_ledger(bench: Bench, low: int, high: int, code: str) -> None:
    sender, following = bench.account("sender"), bench.ledger.latest.sequence + 1
    bounds = LedgerBounds(following + low - 1, following + high - 1 if high else 0)
    answer = bench.send(with_conditions(bench, sender, Preconditions(ledger_bounds=bounds)))
    assert refusal(answer) == code


def test_what_its_ledger_closes_too_late_for_is_dropped_without_a_fee(bench: Bench) -> None:
    sender = bench.account("sender")
    bounds = TimeBounds(0, bench.ledger.next_close_time() - 1)
    tx_hash = bench.accept(with_conditions(bench, sender, Preconditions(time_bounds=bounds)))
    bench.close()
    assert bench.rpc("getTransaction", hash=tx_hash.hex())["status"] == "NOT_FOUND"
    assert bench.xlm(sender) == 1_000 * XLM


def test_a_number_may_be_skipped_where_the_transaction_allows_it(bench: Bench) -> None:
    sender = bench.account("sender")
    account = bench.entry(sender)
    assert account is not None
    conditions = Preconditions(min_sequence_number=account.sequence)
    assert bench.land(with_conditions(bench, sender, conditions, ahead=5)).result.is_success


def test_a_number_that_was_used_is_used_whatever_the_transaction_allows(bench: Bench) -> None:
    sender = bench.account("sender")
    bench.land(payment(bench, sender))
    account = bench.entry(sender)
    assert account is not None
    conditions = Preconditions(min_sequence_number=account.sequence - 1)
    assert refusal(bench.send(with_conditions(bench, sender, conditions, ahead=-1))) == "txBAD_SEQ"


def test_signers_of_its_own_are_not_to_be_had(bench: Bench) -> None:
    sender, other = bench.account("sender"), keypair("other")
    wants = Preconditions(extra_signers=[SignerKey.ed25519_public_key(other.public_key)])
    assert refusal(bench.send(sign(with_conditions(bench, sender, wants), other))) == "txBAD_AUTH"


def test_a_number_that_is_too_young_waits_for_its_age(bench: Bench) -> None:
    sender = bench.account("sender")
    bench.land(payment(bench, sender))
    young = with_conditions(bench, sender, Preconditions(min_sequence_ledger_gap=5))
    assert refusal(bench.send(young)) == "txBAD_MIN_SEQ_AGE_OR_GAP"
    bench.close(5)
    assert bench.send(young)["status"] == "PENDING"


# One place for each source


def test_the_same_envelope_twice_is_a_duplicate(bench: Bench) -> None:
    sender = bench.account("sender")
    envelope = payment(bench, sender)
    assert [bench.send(envelope)["status"] for _ in range(2)] == ["PENDING", "DUPLICATE"]


def test_a_second_transaction_of_a_source_is_put_off(bench: Bench) -> None:
    sender = bench.account("sender")
    bench.accept(payment(bench, sender))
    assert bench.send(payment(bench, sender, "2"))["status"] == "TRY_AGAIN_LATER"
    assert bench.send(payment(bench, sender, ahead=1))["status"] == "TRY_AGAIN_LATER"
    bench.close()
    assert bench.send(payment(bench, sender))["status"] == "PENDING"


def test_a_number_before_or_behind_that_of_the_one_that_waits_does_not_replace_it(bench: Bench) -> None:
    payer, sender = bench.account("payer"), bench.account("sender")
    bench.accept(bench.bump(payment(bench, sender), payer))
    assert refusal(bench.send(payment(bench, sender, ahead=-1))) == "txBAD_SEQ"
    later = bench.bump(payment(bench, sender, ahead=1), payer, bid=20_000)
    assert bench.send(later)["status"] == "TRY_AGAIN_LATER"


def test_one_fee_account_backs_many_sources(bench: Bench) -> None:
    payer = bench.account("payer")
    senders = [bench.account(f"sender {number}") for number in range(5)]
    hashes = [bench.accept(bench.bump(payment(bench, sender), payer)) for sender in senders]
    bench.close()
    assert all(bench.ledger.by_hash[one].result.is_success for one in hashes)
    assert bench.xlm(payer) == 1_000 * XLM - 5 * 200


def test_a_fee_accounts_balance_must_cover_all_it_has_queued(bench: Bench) -> None:
    payer = bench.account("payer", xlm=2)
    first, second = (bench.account(name) for name in ("first", "second"))
    half = 6_000_000  # of the 10,000,000 above the reserve
    bench.accept(bench.bump(payment(bench, first), payer, bid=half))
    second_bump = bench.bump(payment(bench, second), payer, bid=half)
    assert refusal(bench.send(second_bump)) == "txINSUFFICIENT_BALANCE"
    bench.close()
    assert bench.send(second_bump)["status"] == "PENDING"


def waiting_behind_another(bench: Bench, payer: Keypair) -> str:
    """Let the payer back a plant that a full ledger passes by; give the hash of its bump."""
    bench.accept(bench.bump(bench.plant(bench.account("first", kale=0)), bench.account("rich"), bid=900))
    return bench.accept(bench.bump(bench.plant(bench.account("second", kale=0)), payer)).hex()


def test_what_waits_is_dropped_when_who_pays_is_merged_away() -> None:
    bench = narrow(transactions=1)
    payer = bench.account("payer")
    waits = waiting_behind_another(bench, payer)
    bench.accept(
        sign(bench.builder(payer).append_account_merge_op(keypair("rich").public_key).build(), payer)
    )
    bench.close(2)
    assert bench.rpc("getTransaction", hash=waits)["status"] == "NOT_FOUND"
    assert len(bench.ledger.queue) == 0


def test_what_waits_is_dropped_when_who_pays_has_spent_its_xlm() -> None:
    bench = narrow(transactions=1)
    payer = bench.account("payer", xlm=10)
    waits = waiting_behind_another(bench, payer)
    bench.accept(payment(bench, payer, amount="8.9999"))
    bench.close(2)
    assert bench.rpc("getTransaction", hash=waits)["status"] == "NOT_FOUND"
    assert bench.xlm(payer) == 10 * XLM - 89_999_000 - 100


# Fee bumps


def test_a_fee_bump_counts_as_one_operation_more(bench: Bench) -> None:
    payer, sender = bench.account("payer"), bench.account("sender")
    assert refusal(bench.send(bench.bump(payment(bench, sender), payer, bid=199))) == "txINSUFFICIENT_FEE"
    applied = bench.land(bench.bump(payment(bench, sender), payer, bid=200))
    assert applied.result.fee_charged == 200
    assert bench.xlm(sender) == 999 * XLM


def test_a_fee_bump_bids_no_less_than_what_is_inside(bench: Bench) -> None:
    payer, sender = bench.account("payer"), bench.account("sender")
    inner = payment(bench, sender, fee=400)
    assert refusal(bench.send(bench.bump(inner, payer, bid=799))) == "txINSUFFICIENT_FEE"
    assert bench.send(bench.bump(inner, payer, bid=800))["status"] == "PENDING"


def test_nobody_else_signs_a_fee_bump(bench: Bench) -> None:
    payer, sender = bench.account("payer"), bench.account("sender")
    envelope = bench.bump(payment(bench, sender), payer)
    envelope.sign(keypair("stranger"))
    assert refusal(bench.send(envelope)) == "txBAD_AUTH_EXTRA"


def test_a_fee_bump_is_found_by_either_hash(bench: Bench) -> None:
    payer, sender = bench.account("payer"), bench.account("sender")
    inner = payment(bench, sender)
    outer = bench.accept(bench.bump(inner, payer))
    bench.close()
    by_inner = bench.rpc("getTransaction", hash=inner.hash_hex())
    by_outer = bench.rpc("getTransaction", hash=outer.hex())
    # The answer repeats the hash that was asked for, whichever of the two it is.
    assert (by_inner.pop("txHash"), by_outer.pop("txHash")) == (inner.hash_hex(), outer.hex())
    assert by_inner == by_outer
    assert (by_inner["status"], by_inner["feeBump"]) == ("SUCCESS", True)


def test_what_is_wrong_inside_a_fee_bump_is_told_as_the_inners(bench: Bench) -> None:
    payer, sender = bench.account("payer"), bench.account("sender")
    answer = bench.send(bench.bump(payment(bench, sender, ahead=3), payer))
    assert refusal(answer) == "inner txBAD_SEQ"
    nobody = bench.send(bench.bump(payment(bench, sender), keypair("nobody")))
    assert refusal(nobody) == "txNO_ACCOUNT"
    unsigned = bench.bump(payment(bench, sender), payer)
    unsigned.signatures.clear()
    assert refusal(bench.send(unsigned)) == "txBAD_AUTH"


def test_replacing_a_waiting_fee_bump_takes_ten_times_its_bid(bench: Bench) -> None:
    payer, sender = bench.account("payer"), bench.account("sender")
    inner = payment(bench, sender)
    first = bench.accept(bench.bump(inner, payer, bid=200))
    refused = bench.send(bench.bump(inner, payer, bid=1_999))
    assert refusal(refused) == "txINSUFFICIENT_FEE"
    assert xdr.TransactionResult.from_xdr(refused["errorResultXdr"]).fee_charged.int64 == 2_000
    second = bench.accept(bench.bump(inner, payer, bid=2_000))
    bench.close()
    assert first not in bench.ledger.by_hash
    assert bench.ledger.by_hash[second].result.is_success


def test_what_waits_in_a_fee_bump_is_a_duplicate_when_it_comes_bare(bench: Bench) -> None:
    payer, sender = bench.account("payer"), bench.account("sender")
    inner = payment(bench, sender)
    bench.accept(bench.bump(inner, payer))
    assert bench.send(inner)["status"] == "DUPLICATE"
    assert bench.send(payment(bench, sender, "2"))["status"] == "TRY_AGAIN_LATER"


def test_a_replacement_frees_the_funds_of_what_it_replaces(bench: Bench) -> None:
    sender, other = bench.account("sender"), bench.account("other")
    first, second = bench.account("first payer", xlm=2), bench.account("second payer", xlm=2)
    inner = payment(bench, sender)
    most = 1 * XLM
    bench.accept(bench.bump(inner, first, bid=most // 10))
    # The same payer owes the new bid instead of the old one, which together would be too much ...
    bench.accept(bench.bump(inner, first, bid=most))
    assert len(bench.ledger.queue) == 1
    bench.close()
    # ... and a payer whose bump another's has replaced owes nothing any more.
    inner = payment(bench, sender)
    bench.accept(bench.bump(inner, second, bid=most // 100))
    bench.accept(bench.bump(inner, bench.account("third payer"), bid=most // 10))
    bench.accept(bench.bump(payment(bench, other), second, bid=most))


# Ledgers that are full


def test_a_full_ledger_takes_the_higher_bids_and_they_pay_the_lowest_of_them() -> None:
    bench = narrow(operations=2)
    senders = [bench.account(f"sender {number}") for number in range(3)]
    hashes = [
        bench.accept(payment(bench, sender, fee=fee))
        for sender, fee in zip(senders, (300, 100, 200), strict=True)
    ]
    bench.close()
    assert [tx in bench.ledger.by_hash for tx in hashes] == [True, False, True]
    assert {bench.ledger.by_hash[tx].result.fee_charged for tx in (hashes[0], hashes[2])} == {200}
    bench.close()
    assert bench.ledger.by_hash[hashes[1]].result.fee_charged == 100


def test_what_fits_beside_the_higher_bids_goes_with_them() -> None:
    bench = narrow(operations=2)
    first, second, third = (bench.account(f"sender {number}") for number in range(3))
    highest = bench.accept(payment(bench, first, fee=300))
    builder = bench.builder(second, fee=200)
    for _ in range(2):
        builder.append_payment_op(bench.identity.friendbot.public_key, NATIVE, "1")
    too_large = bench.accept(sign(builder.build(), second))
    lowest = bench.accept(payment(bench, third, fee=100))
    bench.close()
    assert [tx in bench.ledger.by_hash for tx in (highest, too_large, lowest)] == [True, False, True]


def test_classic_transactions_are_applied_before_contract_calls(bench: Bench) -> None:
    for number in range(4):
        bench.accept(bench.plant(bench.account(f"farmer {number}", kale=0)))
        bench.accept(payment(bench, bench.account(f"sender {number}")))
    bench.close()
    kinds = [applied.transaction.is_soroban for applied in bench.ledger.latest.transactions]
    assert kinds == [False] * 4 + [True] * 4


def test_classic_transactions_crowd_out_no_contract_calls() -> None:
    bench = narrow(operations=1)
    plant = bench.accept(bench.plant(bench.account("farmer", kale=0)))
    for number, fee in enumerate((500, 500, 600)):
        bench.accept(payment(bench, bench.account(f"sender {number}"), fee=fee))
    bench.close()
    assert plant in bench.ledger.by_hash


def test_a_ledger_with_room_charges_the_base_fee_whatever_was_bid(bench: Bench) -> None:
    sender = bench.account("sender")
    assert bench.land(payment(bench, sender, fee=50_000)).result.fee_charged == 100


def test_the_queue_holds_two_ledgers_worth_and_then_only_higher_bids_come_in() -> None:
    bench = narrow(operations=2)
    for number in range(4):
        bench.accept(payment(bench, bench.account(f"sender {number}"), fee=200))
    equal, higher = bench.account("equal"), bench.account("higher")
    assert refusal(bench.send(payment(bench, equal, fee=200))) == "txINSUFFICIENT_FEE"
    assert bench.send(payment(bench, higher, fee=201))["status"] == "PENDING"
    assert len(bench.ledger.queue) == 4


def test_plants_are_held_to_the_written_bytes_of_a_ledger() -> None:
    bench = narrow(write_bytes=3 * 1_600)
    farmers = [bench.account(f"farmer {number}", kale=10) for number in range(5)]
    for farmer in farmers:
        bench.accept(bench.plant(farmer, KALE))
    bench.close()
    assert [bench.pail(farmer, 0) is not None for farmer in farmers].count(True) == 3
    bench.close()
    assert all(bench.pail(farmer, 0) is not None for farmer in farmers)


def test_what_is_not_included_in_four_ledgers_is_dropped_and_banned_for_ten() -> None:
    bench = narrow(operations=1)
    poor = bench.account("poor")
    envelope = payment(bench, poor, fee=100)
    tx_hash = bench.accept(envelope)
    rich = bench.account("rich")
    for _ in range(4):
        bench.accept(payment(bench, rich, fee=500))
        bench.close()
    assert tx_hash not in bench.ledger.by_hash
    for _ in range(10):
        assert bench.send(envelope)["status"] == "TRY_AGAIN_LATER"
        bench.close()
    assert bench.send(envelope)["status"] == "PENDING"


def test_what_is_crowded_out_is_banned_for_ten() -> None:
    bench = narrow(operations=1)
    low = payment(bench, bench.account("low"), fee=100)
    bench.accept(low)
    for number in range(2):
        bench.accept(payment(bench, bench.account(f"high {number}"), fee=500))
    for _ in range(10):
        assert bench.send(low)["status"] == "TRY_AGAIN_LATER"
        bench.close()
    assert bench.send(low)["status"] == "PENDING"


# Soroban transactions


def test_a_contract_call_stands_alone_in_its_transaction(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=0)
    envelope = bench.plant(farmer)
    envelope.signatures.clear()
    envelope.transaction.operations *= 2
    assert refusal(bench.send(sign(envelope, farmer))) == "txMALFORMED"


def test_a_contract_call_without_resources_is_malformed(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=0)
    envelope = bench.plant(farmer)
    envelope.signatures.clear()
    envelope.transaction.soroban_data = None
    assert refusal(bench.send(sign(envelope, farmer))) == "txMALFORMED"


@pytest.mark.parametrize("change", ["fee", "instructions", "write_bytes", "twice"])
def test_resources_beyond_the_limits_or_unpaid_are_refused(bench: Bench, change: str) -> None:
    farmer = bench.account("farmer", kale=0)
    envelope = bench.plant(farmer)
    envelope.signatures.clear()
    data = envelope.transaction.soroban_data
    assert data is not None
    if change == "fee":
        data.resource_fee.int64 = 9_000
    elif change == "instructions":
        data.resources.instructions.uint32 = 400_000_001
    elif change == "write_bytes":
        data.resources.write_bytes.uint32 = 132_097
    else:
        footprint = data.resources.footprint
        footprint.read_only.append(footprint.read_write[0])
    assert refusal(bench.send(sign(envelope, farmer))) == "txSOROBAN_INVALID"


def test_a_contract_call_that_is_too_large_is_refused() -> None:
    bench = narrow(tx_bytes=600)
    assert refusal(bench.send(bench.plant(bench.account("farmer", kale=0)))) == "txSOROBAN_INVALID"


def test_what_does_not_fit_into_any_ledger_is_refused_at_once() -> None:
    bench = narrow(write_bytes=1_000)
    farmer = bench.account("farmer", kale=0)
    assert refusal(bench.send(bench.plant(farmer))) == "txSOROBAN_INVALID"
