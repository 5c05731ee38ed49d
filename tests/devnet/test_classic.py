"""Classic operations: accounts, payments, trustlines, sponsorship, merging; and their result codes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from stellar_sdk import Asset, Keypair, TransactionBuilder, xdr

from kalepool.devnet.entries import BASE_RESERVE, MAX_I64
from support.devnet import KALE, XLM, Bench, keypair, operation_codes, refusal, sign

if TYPE_CHECKING:
    from kalepool.devnet.execution import Applied


@pytest.fixture
def asset(bench: Bench) -> Asset:
    """The KALE asset, as the SDK wants it."""
    return Asset(*bench.identity.kale)


def land(bench: Bench, builder: TransactionBuilder, *signers: Keypair) -> Applied:
    return bench.land(sign(builder.build(), *signers))


# Accounts and payments


def test_an_account_is_created_with_its_ledger_as_sequence_number(bench: Bench) -> None:
    giver, new = bench.account("giver"), keypair("new")
    applied = land(bench, bench.builder(giver).append_create_account_op(new.public_key, "5"), giver)
    account = bench.entry(new)
    assert account is not None
    assert (account.balance, account.sequence) == (5 * XLM, applied.ledger << 32)
    assert bench.xlm(giver) == 995 * XLM - 100


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0.9999999", "CREATE_ACCOUNT_LOW_RESERVE"),
        ("999", "CREATE_ACCOUNT_UNDERFUNDED"),
        ("1", "CREATE_ACCOUNT_SUCCESS"),
    ],
)
def test_creating_an_account_takes_its_reserve_and_leaves_the_givers(
    bench: Bench, amount: str, code: str
) -> None:
    giver = bench.account("giver")
    builder = bench.builder(giver).append_create_account_op(keypair("new").public_key, amount)
    assert operation_codes(land(bench, builder, giver)) == [code]


def test_an_account_is_created_once(bench: Bench) -> None:
    giver, there = bench.account("giver"), bench.account("there")
    builder = bench.builder(giver).append_create_account_op(there.public_key, "5")
    assert operation_codes(land(bench, builder, giver)) == ["CREATE_ACCOUNT_ALREADY_EXIST"]


def test_xlm_is_paid_down_to_the_reserve(bench: Bench) -> None:
    giver, taker = bench.account("giver", xlm=10), bench.account("taker")
    over = bench.builder(giver).append_payment_op(taker.public_key, Asset.native(), "9")
    assert operation_codes(land(bench, over, giver)) == ["PAYMENT_UNDERFUNDED"]
    fits = bench.builder(giver).append_payment_op(taker.public_key, Asset.native(), "8.9999800")
    applied = land(bench, fits, giver)
    assert operation_codes(applied) == ["PAYMENT_SUCCESS"]
    assert bench.xlm(giver) == 2 * BASE_RESERVE
    (event,) = applied.operation_events[0]
    assert (event.contract, event.kind, event.asset) == (
        bench.identity.native_contract,
        "transfer",
        "native",
    )


def test_a_payment_to_nobody_fails(bench: Bench) -> None:
    giver = bench.account("giver")
    builder = bench.builder(giver).append_payment_op(keypair("new").public_key, Asset.native(), "1")
    assert operation_codes(land(bench, builder, giver)) == ["PAYMENT_NO_DESTINATION"]


@pytest.mark.parametrize(
    ("giver_kale", "taker_kale", "taker_there", "code"),
    [
        (5, 1, True, "PAYMENT_SUCCESS"),
        (3, 1, True, "PAYMENT_UNDERFUNDED"),
        (None, 1, True, "PAYMENT_SRC_NO_TRUST"),
        (5, None, True, "PAYMENT_NO_TRUST"),
        (5, None, False, "PAYMENT_NO_DESTINATION"),
    ],
)
def test_kale_is_paid_from_trustline_to_trustline(
    bench: Bench,
    asset: Asset,
    giver_kale: int | None,
    taker_kale: int | None,
    taker_there: bool,
    code: str,
) -> None:
    giver = bench.account("giver", kale=giver_kale)
    taker = bench.account("taker", kale=taker_kale) if taker_there else keypair("taker")
    builder = bench.builder(giver).append_payment_op(taker.public_key, asset, "4")
    assert operation_codes(land(bench, builder, giver)) == [code]
    if code == "PAYMENT_SUCCESS":
        assert (bench.kale_of(giver), bench.kale_of(taker)) == (1 * KALE, 5 * KALE)


def test_a_trustline_takes_no_more_than_its_limit(bench: Bench, asset: Asset) -> None:
    giver, taker = bench.account("giver", kale=10), bench.account("taker", kale=1)
    limited = bench.builder(taker).append_change_trust_op(asset, "3")
    assert operation_codes(land(bench, limited, taker)) == ["CHANGE_TRUST_SUCCESS"]
    full = bench.builder(giver).append_payment_op(taker.public_key, asset, "2.0000001")
    assert operation_codes(land(bench, full, giver)) == ["PAYMENT_LINE_FULL"]
    fits = bench.builder(giver).append_payment_op(taker.public_key, asset, "2")
    assert operation_codes(land(bench, fits, giver)) == ["PAYMENT_SUCCESS"]


def test_the_issuer_creates_and_destroys_and_the_events_say_so(bench: Bench, asset: Asset) -> None:
    issuer, holder = bench.identity.issuer, bench.account("holder", kale=0)
    created = land(bench, bench.builder(issuer).append_payment_op(holder.public_key, asset, "7"), issuer)
    assert [event.kind for event in created.operation_events[0]] == ["mint"]
    back = land(bench, bench.builder(holder).append_payment_op(issuer.public_key, asset, "2"), holder)
    assert [event.kind for event in back.operation_events[0]] == ["burn"]
    assert bench.kale_of(holder) == 5 * KALE


def test_the_memo_of_a_payment_travels_with_its_event(bench: Bench, asset: Asset) -> None:
    giver, taker = bench.account("giver", kale=5), bench.account("taker", kale=0)
    builder = bench.builder(giver).add_id_memo(77).append_payment_op(taker.public_key, asset, "1")
    (event,) = land(bench, builder, giver).operation_events[0]
    fields = event.data().map
    assert fields is not None
    assert [entry.val.u64.uint64 for entry in fields.sc_map if entry.val.u64 is not None] == [77]


# Trustlines


def test_a_trustline_costs_a_reserve_and_gives_it_back(bench: Bench, asset: Asset) -> None:
    holder = bench.account("holder", xlm=2)
    assert operation_codes(land(bench, bench.builder(holder).append_change_trust_op(asset), holder)) == [
        "CHANGE_TRUST_SUCCESS"
    ]
    account, line = bench.entry(holder), bench.line(holder)
    assert account is not None
    assert line is not None
    assert (account.reserve, line.limit, line.balance) == (3 * BASE_RESERVE, MAX_I64, 0)
    gone = land(bench, bench.builder(holder).append_change_trust_op(asset, "0"), holder)
    assert operation_codes(gone) == ["CHANGE_TRUST_SUCCESS"]
    account = bench.entry(holder)
    assert account is not None
    assert (account.subentries, bench.line(holder)) == (0, None)


@pytest.mark.parametrize(
    ("xlm", "kale", "limit", "code"),
    [
        (9, None, "0", "CHANGE_TRUST_INVALID_LIMIT"),
        (9, 2, "0", "CHANGE_TRUST_INVALID_LIMIT"),
        (9, 2, "1", "CHANGE_TRUST_INVALID_LIMIT"),
        (9, 2, "2", "CHANGE_TRUST_SUCCESS"),
    ],
)
def test_a_trustline_is_refused_where_it_cannot_be(
    bench: Bench, asset: Asset, xlm: int, kale: int | None, limit: str | None, code: str
) -> None:
    holder = bench.account("holder", xlm=xlm, kale=kale)
    builder = bench.builder(holder).append_change_trust_op(asset, limit)
    assert operation_codes(land(bench, builder, holder)) == [code]


def test_a_trustline_needs_a_reserve(bench: Bench, asset: Asset) -> None:
    payer, holder = bench.account("payer"), bench.account("holder", xlm=1)
    builder = bench.builder(payer).append_change_trust_op(asset, source=holder.public_key)
    assert operation_codes(land(bench, builder, payer, holder)) == ["CHANGE_TRUST_LOW_RESERVE"]


def test_an_asset_needs_an_issuer_who_is_somebody_else(bench: Bench, asset: Asset) -> None:
    holder, issuer = bench.account("holder"), bench.identity.issuer
    nobody = bench.builder(holder).append_change_trust_op(Asset("NONE", keypair("nobody").public_key))
    assert operation_codes(land(bench, nobody, holder)) == ["CHANGE_TRUST_NO_ISSUER"]
    own = bench.builder(issuer).append_change_trust_op(asset)
    assert operation_codes(land(bench, own, issuer)) == ["CHANGE_TRUST_SELF_NOT_ALLOWED"]


# Sponsorship


def sponsored_start(bench: Bench, sponsor: Keypair, new: list[Keypair], asset: Asset) -> TransactionBuilder:
    builder = bench.builder(sponsor)
    for keys in new:
        address = keys.public_key
        builder.append_begin_sponsoring_future_reserves_op(address)
        builder.append_create_account_op(address, "0")
        builder.append_change_trust_op(asset, source=address)
        builder.append_end_sponsoring_future_reserves_op(source=address)
    return builder


def test_nineteen_farmers_start_without_xlm_in_one_transaction(bench: Bench, asset: Asset) -> None:
    sponsor = bench.account("sponsor")
    new = [keypair(f"new {number}") for number in range(19)]
    applied = land(bench, sponsored_start(bench, sponsor, new, asset), sponsor, *new)
    assert applied.result.is_success
    payer = bench.entry(sponsor)
    assert payer is not None
    assert payer.sponsoring == 19 * 3
    assert payer.reserve == (2 + 57) * BASE_RESERVE
    for keys in new:
        account, line = bench.entry(keys), bench.line(keys)
        assert account is not None
        assert line is not None
        assert (account.balance, account.reserve, account.sponsor) == (0, 0, sponsor.public_key)
        assert line.sponsor == sponsor.public_key


def test_a_twentieth_farmer_would_be_a_signature_too_many(bench: Bench, asset: Asset) -> None:
    sponsor = bench.account("sponsor")
    new = [keypair(f"new {number}") for number in range(19)]
    envelope = sign(sponsored_start(bench, sponsor, new, asset).build(), sponsor, *new)
    raw = envelope.to_xdr_object().to_xdr_bytes()
    signatures = 4 + 20 * (4 + 4 + 64)
    one_more = raw[:-signatures] + (21).to_bytes(4, "big") + raw[4 - signatures :] + raw[-72:]
    sent = base64.b64encode(one_more).decode()
    assert bench.rpc_error("sendTransaction", transaction=sent) == (-32602, "invalid_xdr")


def test_the_sponsored_must_sign(bench: Bench, asset: Asset) -> None:
    sponsor, new = bench.account("sponsor"), keypair("new")
    envelope = sign(sponsored_start(bench, sponsor, [new], asset).build(), sponsor)
    answer = bench.send(envelope)
    result = xdr.TransactionResult.from_xdr(answer["errorResultXdr"]).result
    assert result.code == xdr.TransactionResultCode.txFAILED
    assert result.results is not None
    codes = [operation.code.name for operation in result.results]
    assert codes == ["opINNER", "opINNER", "opBAD_AUTH", "opBAD_AUTH"]


def test_a_sponsor_without_xlm_carries_nobody(bench: Bench, asset: Asset) -> None:
    sponsor, new = bench.account("sponsor", xlm=2), keypair("new")
    applied = land(bench, sponsored_start(bench, sponsor, [new], asset), sponsor, new)
    assert not applied.result.is_success
    assert "CREATE_ACCOUNT_LOW_RESERVE" in operation_codes(applied)
    assert bench.entry(new) is None


def test_a_sponsorship_left_open_undoes_the_transaction(bench: Bench) -> None:
    sponsor, new = bench.account("sponsor"), keypair("new")
    builder = bench.builder(sponsor).append_begin_sponsoring_future_reserves_op(new.public_key)
    applied = land(bench, builder.append_create_account_op(new.public_key, "0"), sponsor)
    assert applied.result.code.name == "txBAD_SPONSORSHIP"
    assert bench.entry(new) is None
    account = bench.entry(sponsor)
    assert account is not None
    assert (account.sponsoring, account.sequence) == (0, applied.transaction.sequence)


def test_sponsorships_do_not_nest_or_repeat_or_end_unbegun(bench: Bench) -> None:
    sponsor, other = bench.account("sponsor"), bench.account("other")
    address, elsewhere = other.public_key, keypair("third").public_key
    twice = bench.builder(sponsor)
    twice.append_begin_sponsoring_future_reserves_op(address)
    twice.append_begin_sponsoring_future_reserves_op(address)
    assert operation_codes(land(bench, twice, sponsor))[1].endswith("ALREADY_SPONSORED")
    nested = bench.builder(sponsor)
    nested.append_begin_sponsoring_future_reserves_op(address)
    nested.append_begin_sponsoring_future_reserves_op(elsewhere, source=address)
    assert operation_codes(land(bench, nested, sponsor, other))[1].endswith("RECURSIVE")
    unbegun = bench.builder(sponsor).append_end_sponsoring_future_reserves_op()
    assert operation_codes(land(bench, unbegun, sponsor))[0].endswith("NOT_SPONSORED")


# Merging


@pytest.mark.parametrize("second", [("middle", "last"), ("other", "first")])
def test_who_sponsors_is_not_sponsored_whichever_began_first(bench: Bench, second: tuple[str, str]) -> None:
    keys = {name: bench.account(name) for name in ("first", "middle", "last", "other")}
    builder = bench.builder(keys["first"])
    for sponsor, sponsored in (("first", "middle"), second):
        builder.append_begin_sponsoring_future_reserves_op(
            keys[sponsored].public_key, keys[sponsor].public_key
        )
    codes = operation_codes(land(bench, builder, keys["first"], keys[second[0]]))
    assert codes[1] == "BEGIN_SPONSORING_FUTURE_RESERVES_RECURSIVE"


def test_an_exit_gives_the_sponsor_its_reserves_back(bench: Bench, asset: Asset) -> None:
    sponsor, farmer = bench.account("sponsor"), keypair("farmer")
    land(bench, sponsored_start(bench, sponsor, [farmer], asset), sponsor, farmer)
    builder = bench.builder(sponsor)
    builder.append_change_trust_op(asset, "0", source=farmer.public_key)
    builder.append_account_merge_op(sponsor.public_key, source=farmer.public_key)
    applied = land(bench, builder, sponsor, farmer)
    assert applied.result.is_success
    account = bench.entry(sponsor)
    assert account is not None
    assert (account.sponsoring, account.reserve) == (0, 2 * BASE_RESERVE)
    assert bench.entry(farmer) is None


def test_a_merge_moves_all_the_xlm(bench: Bench) -> None:
    leaver, heir = bench.account("leaver", xlm=5), bench.account("heir", xlm=5)
    bench.close()
    applied = land(bench, bench.builder(leaver).append_account_merge_op(heir.public_key), leaver)
    assert applied.result.is_success
    assert bench.xlm(heir) == 10 * XLM - 100
    assert bench.entry(leaver) is None


def test_a_merge_is_refused_with_a_trustline_or_to_nobody_or_as_a_sponsor(bench: Bench, asset: Asset) -> None:
    leaver, heir = bench.account("leaver", kale=0), bench.account("heir")
    bench.close()
    lined = bench.builder(leaver).append_account_merge_op(heir.public_key)
    assert operation_codes(land(bench, lined, leaver)) == ["ACCOUNT_MERGE_HAS_SUB_ENTRIES"]
    nobody = bench.builder(heir).append_account_merge_op(keypair("nobody").public_key)
    assert operation_codes(land(bench, nobody, heir)) == ["ACCOUNT_MERGE_NO_ACCOUNT"]
    new = keypair("new")
    land(bench, sponsored_start(bench, heir, [new], asset), heir, new)
    sponsor = bench.builder(heir).append_account_merge_op(leaver.public_key)
    assert operation_codes(land(bench, sponsor, heir)) == ["ACCOUNT_MERGE_IS_SPONSOR"]


def test_a_merge_is_refused_to_a_number_that_an_account_created_anew_could_reach(bench: Bench) -> None:
    leaver, heir = bench.account("leaver"), bench.account("heir")
    bench.close()
    first_anew = (bench.ledger.latest.sequence + 2) << 32
    bump = bench.builder(leaver).append_bump_sequence_op(first_anew - 1)
    assert land(bench, bump, leaver).result.is_success
    merge = bench.builder(leaver).append_account_merge_op(heir.public_key)
    assert operation_codes(land(bench, merge, leaver)) == ["ACCOUNT_MERGE_SEQNUM_TOO_FAR"]
    bench.close()
    merge = bench.builder(leaver).append_account_merge_op(heir.public_key)
    assert land(bench, merge, leaver).result.is_success


def test_a_merge_is_refused_to_who_has_begun_to_sponsor(bench: Bench) -> None:
    leaver, heir = bench.account("leaver"), bench.account("heir")
    bench.close()
    builder = bench.builder(leaver).append_begin_sponsoring_future_reserves_op(heir.public_key)
    builder.append_account_merge_op(heir.public_key)
    builder.append_end_sponsoring_future_reserves_op(heir.public_key)
    assert operation_codes(land(bench, builder, leaver, heir))[1] == "ACCOUNT_MERGE_IS_SPONSOR"


# The rest


def test_a_bump_moves_the_sequence_number_forward_only(bench: Bench) -> None:
    owner = bench.account("owner")
    account = bench.entry(owner)
    assert account is not None
    far = account.sequence + 500
    assert land(bench, bench.builder(owner).append_bump_sequence_op(far), owner).result.is_success
    back = land(bench, bench.builder(owner).append_bump_sequence_op(3), owner)
    assert back.result.is_success
    account = bench.entry(owner)
    assert account is not None
    assert account.sequence == far + 1


def test_one_failed_operation_undoes_them_all_and_takes_the_fee(bench: Bench) -> None:
    giver, taker = bench.account("giver"), bench.account("taker")
    builder = bench.builder(giver).append_payment_op(taker.public_key, Asset.native(), "5")
    builder.append_payment_op(keypair("nobody").public_key, Asset.native(), "5")
    applied = land(bench, builder, giver)
    assert operation_codes(applied) == ["PAYMENT_SUCCESS", "PAYMENT_NO_DESTINATION"]
    assert bench.xlm(taker) == 1_000 * XLM
    assert bench.xlm(giver) == 1_000 * XLM - 200


def test_an_operation_that_this_network_does_not_carry_out_is_refused_on_arrival(bench: Bench) -> None:
    owner = bench.account("owner")
    envelope = sign(bench.builder(owner).append_manage_data_op("name", "value").build(), owner)
    answer = bench.send(envelope)
    assert refusal(answer) == "txFAILED"
    results = xdr.TransactionResult.from_xdr(answer["errorResultXdr"]).result.results
    assert results is not None
    assert [result.code.name for result in results] == ["opNOT_SUPPORTED"]


def test_an_operations_source_must_exist_when_its_turn_comes(bench: Bench) -> None:
    giver, new = bench.account("giver"), keypair("new")
    builder = bench.builder(giver).append_payment_op(
        giver.public_key, Asset.native(), "1", source=new.public_key
    )
    assert operation_codes(land(bench, builder, giver, new)) == ["opNO_ACCOUNT"]


def test_a_hundred_operations_are_the_most(bench: Bench) -> None:
    giver, taker = bench.account("giver"), bench.account("taker")
    builder = bench.builder(giver)
    for _ in range(100):
        builder.append_payment_op(taker.public_key, Asset.native(), "1")
    assert land(bench, builder, giver).result.is_success
    assert bench.xlm(taker) == 1_100 * XLM
