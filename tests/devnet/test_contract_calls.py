"""The contracts as transactions meet them: errors with their owner, footprints, blocks that close."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from stellar_sdk import Asset, TransactionEnvelope, scval, xdr

from kalepool.core.address import contract_address
from kalepool.core.contract import block_reward
from kalepool.core.farm import Proof
from kalepool.devnet.host import MAX_TTL
from kalepool.devnet.ledger import LedgerSettings
from kalepool.xdr.keys import block_key, instance_key, pail_key
from support.devnet import (
    KALE,
    Bench,
    harvest_arguments,
    operation_codes,
    plant_arguments,
    refusal,
    sign,
    work_arguments,
)

if TYPE_CHECKING:
    from stellar_sdk import Keypair

    from kalepool.devnet.execution import Applied

TRAPPED = ["INVOKE_HOST_FUNCTION_TRAPPED"]


def simulated_error(
    bench: Bench, source: Keypair, contract: str, function: str, *arguments: xdr.SCVal
) -> tuple[str, str | None]:
    """Give the error that a simulation shows, and the contract that its diagnostic event names."""
    result = bench.simulate(bench.unsigned_call(source, contract, function, arguments))
    label = result["error"].splitlines()[0].removeprefix("HostError: ")
    events = [xdr.DiagnosticEvent.from_xdr(event) for event in result["events"]]
    return label, first_error_of(bench, events)


def first_error_of(bench: Bench, events: list[xdr.DiagnosticEvent]) -> str | None:
    names = {bench.kale: "kale", bench.sac: "sac", bench.tractor: "tractor"}
    for event in events:
        topics = event.event.body.v0.topics if event.event.body.v0 is not None else []
        if topics and topics[0].sym is not None and topics[0].sym.sc_symbol == b"error":
            contract = event.event.contract_id
            assert contract is not None
            return names.get(contract_address(contract.contract_id.hash))
    return None


def log_of(applied: Applied) -> str:
    return "\n".join(str(line) for line in applied.diagnostics)


# Errors carry the contract that raised them


def test_kale_and_its_asset_contract_have_errors_of_their_own(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=1)
    stranger = bench.account("stranger")  # no trustline
    assert simulated_error(bench, farmer, bench.kale, "plant", *plant_arguments(farmer, -1)) == (
        "Error(Contract, #6)",
        "kale",
    )
    too_much = plant_arguments(farmer, 2 * KALE)
    assert simulated_error(bench, farmer, bench.kale, "plant", *too_much) == ("Error(Contract, #10)", "sac")
    unlined = plant_arguments(stranger, 1)
    assert simulated_error(bench, stranger, bench.kale, "plant", *unlined) == ("Error(Contract, #13)", "sac")


def test_work_missing_and_balance_share_the_number_10_but_not_the_contract(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=1)
    bench.land(bench.plant(farmer))
    bench.open_block(bench.account("opener", kale=0))
    error = simulated_error(bench, farmer, bench.kale, "harvest", *harvest_arguments(farmer, 0))
    assert error == ("Error(Contract, #10)", "kale")


@pytest.mark.parametrize(
    ("function", "arguments", "label"),
    [
        ("plant", [], "Error(WasmVm, UnexpectedSize)"),
        ("plant", [scval.to_uint32(1), scval.to_int128(0)], "Error(WasmVm, InvalidAction)"),
        ("grow", [], "Error(WasmVm, MissingValue)"),
    ],
)
def test_what_is_no_call_of_the_contract_traps(
    bench: Bench, function: str, arguments: list[xdr.SCVal], label: str
) -> None:
    caller = bench.account("caller")
    assert simulated_error(bench, caller, bench.kale, function, *arguments)[0] == label


def test_a_contract_that_is_not_there_cannot_be_called(bench: Bench) -> None:
    caller = bench.account("caller")
    label, _ = simulated_error(bench, caller, contract_address(bytes(32)), "plant")
    assert label == "Error(Storage, MissingValue)"


def test_a_failed_call_costs_its_fee_and_its_sequence_number_and_nothing_else(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=50)
    first = bench.plant(farmer, 10 * KALE)
    again = bench.plant(farmer, 10 * KALE, ahead=1)
    bench.land(first)
    before = bench.xlm(farmer)
    applied = bench.land(again)
    assert operation_codes(applied) == TRAPPED
    assert "Error(Contract, #8)" in log_of(applied)
    assert bench.kale_of(farmer) == 40 * KALE
    assert bench.xlm(farmer) == before - applied.result.fee_charged
    account = bench.entry(farmer)
    assert account is not None
    assert account.sequence == applied.transaction.sequence


# Footprints


def plant_for(bench: Bench, farmer: Keypair, index: int, stake: int = 0) -> TransactionEnvelope:
    """Build a plant whose footprint names another block than a simulation would find now."""
    envelope = bench.unsigned_call(farmer, bench.kale, "plant", plant_arguments(farmer, stake))
    result = bench.simulate(envelope)
    data = xdr.SorobanTransactionData.from_xdr(result["transactionData"])
    moved = {
        block_key(bench.kale, bench.farm.index): block_key(bench.kale, index),
        pail_key(bench.kale, farmer.public_key, bench.farm.index): pail_key(
            bench.kale, farmer.public_key, index
        ),
    }
    footprint = data.resources.footprint
    for keys in (footprint.read_only, footprint.read_write):
        for position, key in enumerate(keys):
            raw = key.to_xdr_bytes()
            keys[position] = xdr.LedgerKey.from_xdr_bytes(moved.get(raw, raw))
    # What a template's leeway is for: the instance of block 1 is larger by its FarmIndex, and who
    # opens a block pays the rent of its Block.
    data.resources.write_bytes.uint32 += 200
    data.resource_fee.int64 += 5_000
    result["transactionData"] = data.to_xdr()
    return bench.assemble(envelope, result, farmer)


@pytest.fixture
def begun(bench: Bench) -> Bench:
    """A devnet whose block 0 has one pail."""
    bench.land(bench.plant(bench.account("first", kale=10), 5 * KALE))
    return bench


def test_a_plant_whose_footprint_names_the_next_block_opens_it(begun: Bench) -> None:
    farmer = begun.account("farmer", kale=10)
    envelope = plant_for(begun, farmer, 1, 5 * KALE)
    begun.close_until_due()
    assert begun.land(envelope).result.is_success
    assert begun.farm.index == 1
    pail = begun.pail(farmer, 1)
    assert pail is not None
    assert pail.stake == 5 * KALE


def test_the_same_footprint_serves_one_who_finds_the_block_open(begun: Bench) -> None:
    opener, follower = begun.account("opener", kale=10), begun.account("follower", kale=10)
    opening, following = plant_for(begun, opener, 1), plant_for(begun, follower, 1)
    begun.close_until_due()
    begun.accept(opening)
    begun.accept(following)
    begun.close()
    assert begun.pail(opener, 1) is not None
    assert begun.pail(follower, 1) is not None
    assert begun.farm.index == 1


@pytest.mark.parametrize("due", [False, True])
def test_a_plant_whose_footprint_names_another_block_traps_and_burns_nothing(begun: Bench, due: bool) -> None:
    farmer = begun.account("farmer", kale=10)
    envelope = plant_for(begun, farmer, 0 if due else 1, 5 * KALE)
    if due:
        begun.close_until_due()
    before = begun.xlm(farmer)
    applied = begun.land(envelope)
    assert operation_codes(applied) == TRAPPED
    assert "Error(Storage, ExceededLimit)" in log_of(applied)
    assert begun.farm.index == 0
    assert begun.kale_of(farmer) == 10 * KALE
    assert begun.xlm(farmer) < before


def test_a_deployment_whose_opener_reads_the_last_block_wants_it_declared() -> None:
    bench = Bench(LedgerSettings(opener_reads_previous=True))
    bench.land(bench.plant(bench.account("first", kale=10)))
    farmer = bench.account("farmer", kale=10)
    without = plant_for(bench, farmer, 1)
    bench.close_until_due()
    assert operation_codes(bench.land(without)) == TRAPPED
    applied = bench.land(bench.plant(farmer))
    assert applied.result.is_success
    assert applied.transaction.soroban is not None
    assert block_key(bench.kale, 0) in applied.transaction.soroban.read_only


# Blocks


def test_a_work_after_the_roll_over_is_paid_for_and_never_credited(begun: Bench) -> None:
    farmer = begun.account("farmer", kale=10)
    begun.land(begun.plant(farmer))
    begun.close()
    late = begun.work(farmer, begun.proof(farmer, zeros=1))
    begun.open_block(begun.account("opener", kale=0))
    before = begun.xlm(farmer)
    applied = begun.land(late)
    assert operation_codes(applied) == TRAPPED
    assert "Error(Storage, ExceededLimit)" in log_of(applied)
    assert begun.xlm(farmer) < before
    pail = begun.pail(farmer, 0)
    assert pail is not None
    assert pail.zeros is None


def test_a_stake_that_was_never_worked_goes_to_who_worked(begun: Bench) -> None:
    worker = begun.account("worker", kale=0)
    begun.land(begun.plant(worker))
    begun.close()
    begun.land(begun.work(worker, begun.proof(worker, zeros=1)))
    begun.open_block(begun.account("opener", kale=0))
    assert begun.land(begun.harvest(worker, 0)).result.is_success
    assert begun.kale_of(worker) == block_reward(0) + 5 * KALE


def test_a_repeated_work_must_be_better_and_replaces_the_first(begun: Bench) -> None:
    farmer = begun.account("farmer", kale=0)
    begun.land(begun.plant(farmer))
    begun.close()
    begun.land(begun.work(farmer, begun.proof(farmer, zeros=1)))
    equal = begun.proof(farmer, zeros=1)
    error = simulated_error(begun, farmer, begun.kale, "work", *work_arguments(farmer, equal))
    assert error == ("Error(Contract, #7)", "kale")
    assert begun.land(begun.work(farmer, begun.proof(farmer, zeros=2))).result.is_success
    pail = begun.pail(farmer, 0)
    assert pail is not None
    assert (pail.gap, pail.zeros) == (3, 2)


def test_a_work_in_the_ledger_of_its_plant_is_too_early(begun: Bench) -> None:
    farmer = begun.account("farmer", kale=0)
    begun.land(begun.plant(farmer))
    proof = begun.proof(farmer, zeros=0)
    error = simulated_error(begun, farmer, begun.kale, "work", *work_arguments(farmer, proof))
    assert error == ("Error(Contract, #15)", "kale")


def test_a_hash_that_is_not_the_nonces_is_refused(begun: Bench) -> None:
    farmer = begun.account("farmer", kale=0)
    begun.land(begun.plant(farmer))
    begun.close()
    proof = begun.proof(farmer, zeros=0)
    forged = replace(proof, hash=bytes(32))
    error = simulated_error(begun, farmer, begun.kale, "work", *work_arguments(farmer, forged))
    assert error == ("Error(Contract, #13)", "kale")


def test_a_removed_block_is_made_anew_one_further_and_the_old_pails_are_lost(begun: Bench) -> None:
    farmer = begun.account("farmer", kale=0)
    begun.open_block(begun.account("opener", kale=0))
    begun.land(begun.plant(farmer))
    assert begun.devnet.remove_block()
    timestamp = begun.farm.block.timestamp if begun.farm.block is not None else None
    second = begun.account("second", kale=0)
    assert begun.land(begun.plant(second)).result.is_success
    assert begun.farm.index == 2
    assert begun.farm.block is not None
    assert begun.farm.block.timestamp == timestamp
    error = simulated_error(begun, farmer, begun.kale, "harvest", *harvest_arguments(farmer, 1))
    assert error == ("Error(Contract, #11)", "kale")


def test_only_the_owner_pauses_and_then_only_planting_stops(begun: Bench) -> None:
    owner = begun.identity.homesteader
    stranger = begun.account("stranger", kale=0)
    # A simulation records whose consent it takes; the stranger's own signature is not that.
    envelope = begun.unsigned_call(stranger, begun.kale, "pause", [])
    result = begun.simulate(envelope)
    assert operation_codes(begun.land(begun.assemble(envelope, result, stranger))) == TRAPPED
    assert begun.land(begun.call(owner, begun.kale, "pause", [])).result.is_success
    error = simulated_error(begun, stranger, begun.kale, "plant", *plant_arguments(stranger, 0))
    assert error == ("Error(Contract, #4)", "kale")
    assert simulated_error(begun, owner, begun.kale, "pause") == ("Error(Contract, #4)", "kale")
    assert begun.land(begun.call(owner, begun.kale, "unpause", [])).result.is_success
    assert simulated_error(begun, owner, begun.kale, "unpause") == ("Error(Contract, #5)", "kale")
    assert begun.land(begun.plant(stranger)).result.is_success


# Time to live


def test_a_pail_lives_as_long_as_temporary_entries_do_and_is_gone_after() -> None:
    bench = Bench(LedgerSettings(temporary_ttl=70))
    farmer = bench.account("farmer", kale=0)
    bench.land(bench.plant(farmer))
    key = pail_key(bench.kale, farmer.public_key, 0)
    entry = bench.ledger.state.get(key)
    assert entry is not None
    assert entry.live_until == entry.modified + 69
    bench.close()
    bench.land(bench.work(farmer, bench.proof(farmer, zeros=0)))
    bench.open_block(bench.account("opener", kale=0))
    bench.close(entry.live_until - bench.ledger.latest.sequence)
    assert bench.pail(farmer, 0) is not None
    late = bench.harvest(farmer, 0)
    bench.close()
    assert bench.pail(farmer, 0) is None
    assert operation_codes(bench.land(late)) == TRAPPED
    assert bench.kale_of(farmer) == 0


def extension(
    bench: Bench, source: Keypair, ledgers: int, keys: list[bytes], written: tuple[bytes, ...] = ()
) -> TransactionEnvelope:
    """Build an ExtendFootprintTTL, with resources enough for whatever it says."""
    envelope = bench.builder(source).append_extend_footprint_ttl_op(ledgers).build()
    read_only, read_write = ([xdr.LedgerKey.from_xdr_bytes(key) for key in some] for some in (keys, written))
    envelope.transaction.soroban_data = xdr.SorobanTransactionData(
        xdr.SorobanTransactionDataExt(0),
        xdr.SorobanResources(
            xdr.LedgerFootprint(read_only, read_write), xdr.Uint32(0), xdr.Uint32(0), xdr.Uint32(0)
        ),
        xdr.Int64(1_000_000),
    )
    envelope.transaction.fee += 1_000_000
    return envelope


def ends_of(bench: Bench, keys: list[bytes]) -> set[int | None]:
    return {bench.ledger.state.get(key).live_until for key in keys}  # type: ignore[union-attr]


def test_anyone_may_extend_the_life_of_a_block_and_a_pail() -> None:
    bench = Bench(LedgerSettings(temporary_ttl=70))
    farmer, stranger = bench.account("farmer", kale=0), bench.account("stranger", kale=0)
    bench.land(bench.plant(farmer))
    bench.close()
    bench.land(bench.work(farmer, bench.proof(farmer, zeros=0)))
    keys = [block_key(bench.kale, 0), pail_key(bench.kale, farmer.public_key, 0)]
    envelope = extension(bench, stranger, 500, keys)
    result = bench.simulate(envelope)
    applied = bench.land(bench.assemble(envelope, result, stranger))
    assert applied.result.is_success
    assert ends_of(bench, keys) == {applied.ledger + 500}
    bench.open_block(stranger)
    bench.close(200)
    assert bench.land(bench.harvest(farmer, 0)).result.is_success


def test_an_extension_shortens_no_life(begun: Bench) -> None:
    keys = [block_key(begun.kale, 0)]
    before, stranger = ends_of(begun, keys), begun.account("stranger")
    assert begun.land(sign(extension(begun, stranger, 100, keys), stranger)).result.is_success
    assert ends_of(begun, keys) == before


@pytest.mark.parametrize(("ledgers", "written"), [(3_110_400, False), (500, True)])
def test_an_extension_beyond_the_longest_life_or_that_would_write_is_malformed(
    begun: Bench, ledgers: int, written: bool
) -> None:
    block, stranger = block_key(begun.kale, 0), begun.account("stranger")
    before = ends_of(begun, [block])
    keys, writes = ([], (block,)) if written else ([block], ())
    applied = begun.land(sign(extension(begun, stranger, ledgers, keys, writes), stranger))
    assert operation_codes(applied) == ["EXTEND_FOOTPRINT_TTL_MALFORMED"]
    assert ends_of(begun, [block]) == before


def test_an_extension_that_its_fee_does_not_cover_fails_and_costs_what_it_declared(begun: Bench) -> None:
    block, stranger = block_key(begun.kale, 0), begun.account("stranger")
    envelope = extension(begun, stranger, 3_000_000, [block])
    data = envelope.transaction.soroban_data
    assert data is not None
    data.resource_fee.int64 = 6_000
    applied = begun.land(sign(envelope, stranger))
    assert operation_codes(applied) == ["EXTEND_FOOTPRINT_TTL_INSUFFICIENT_REFUNDABLE_FEE"]
    assert applied.fees is not None
    assert applied.result.fee_charged == 100 + applied.fees.non_refundable


# The tractor


def worked_blocks(bench: Bench, farmer: Keypair, blocks: int) -> list[int]:
    """Let a farmer alone plant and work so many blocks; give their indexes, all harvestable."""
    indexes = []
    for _ in range(blocks):
        assert bench.land(bench.plant(farmer, KALE)).result.is_success
        bench.close()
        assert bench.land(bench.work(farmer, bench.proof(farmer, zeros=1))).result.is_success
        indexes.append(bench.farm.index)
        bench.close_until_due()
        bench.close()
    bench.open_block(bench.account("opener", kale=0))
    return indexes


def tractor_arguments(farmer: Keypair, indexes: list[int]) -> list[xdr.SCVal]:
    pails = scval.to_vec([scval.to_uint32(index) for index in indexes])
    return [scval.to_address(farmer.public_key), pails]


def test_the_tractor_harvests_many_blocks_and_says_0_for_a_pail_that_failed(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    indexes = worked_blocks(bench, farmer, 3)
    assert bench.land(bench.harvest(farmer, indexes[1])).result.is_success
    applied = bench.land(bench.call(farmer, bench.tractor, "harvest", tractor_arguments(farmer, indexes)))
    assert applied.result.is_success
    assert applied.return_value is not None
    rewards = [scval.from_int128(value) for value in scval.from_vec(applied.return_value)]
    assert rewards == [block_reward(0), 0, block_reward(2)]
    assert bench.kale_of(farmer) == 10 * KALE + 3 * block_reward(0)


def test_the_tractor_refuses_nothing_to_do(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    none, missing = tractor_arguments(farmer, []), tractor_arguments(farmer, [5])
    assert simulated_error(bench, farmer, bench.tractor, "harvest", *none) == (
        "Error(Contract, #1)",
        "tractor",
    )
    label, _ = simulated_error(bench, farmer, bench.tractor, "harvest", *missing)
    assert label == "Error(Contract, #2)"


# The asset contract


def test_the_asset_contract_moves_balances_and_tells_of_it(bench: Bench) -> None:
    giver, taker = bench.account("giver", kale=10), bench.account("taker", kale=1)
    arguments = [
        scval.to_address(giver.public_key),
        scval.to_address(taker.public_key),
        scval.to_int128(4 * KALE),
    ]
    applied = bench.land(bench.call(giver, bench.sac, "transfer", arguments))
    assert applied.result.is_success
    assert (bench.kale_of(giver), bench.kale_of(taker)) == (6 * KALE, 5 * KALE)
    (event,) = applied.operation_events[0]
    assert (event.kind, event.parties, event.amount) == (
        "transfer",
        (giver.public_key, taker.public_key),
        4 * KALE,
    )


def test_a_contract_holds_its_balance_in_the_asset_contract(bench: Bench) -> None:
    giver = bench.account("giver", kale=10)
    to = scval.to_address(bench.tractor)
    arguments = [scval.to_address(giver.public_key), to, scval.to_int128(3 * KALE)]
    assert bench.land(bench.call(giver, bench.sac, "transfer", arguments)).result.is_success
    result = bench.simulate(bench.unsigned_call(giver, bench.sac, "balance", [to]))
    held = scval.from_int128(xdr.SCVal.from_xdr(result["results"][0]["xdr"]))
    assert held == 3 * KALE


def test_nobody_but_the_kale_contract_mints(bench: Bench) -> None:
    thief = bench.account("thief", kale=0)
    arguments = [scval.to_address(thief.public_key), scval.to_int128(KALE)]
    envelope = bench.unsigned_call(thief, bench.sac, "mint", arguments)
    result = bench.simulate(envelope)
    applied = bench.land(bench.assemble(envelope, result, thief))
    assert operation_codes(applied) == TRAPPED
    assert bench.kale_of(thief) == 0


def test_a_harvest_for_somebody_without_a_trustline_fails_in_the_asset_contract(bench: Bench) -> None:
    farmer, stranger = bench.account("farmer"), bench.account("stranger", kale=0)
    bench.land(bench.plant(farmer))
    bench.close()
    bench.land(bench.work(farmer, bench.proof(farmer, zeros=0)))
    bench.open_block(stranger)
    error = simulated_error(bench, stranger, bench.kale, "harvest", *harvest_arguments(farmer, 0))
    assert error == ("Error(Contract, #13)", "sac")


def test_a_harvest_for_somebody_whose_trustline_is_full_fails_in_the_asset_contract(bench: Bench) -> None:
    farmer, stranger = bench.account("farmer", kale=0), bench.account("stranger", kale=0)
    bench.land(bench.plant(farmer))
    bench.close()
    bench.land(bench.work(farmer, bench.proof(farmer, zeros=0)))
    bench.open_block(stranger)
    harvest = bench.harvest(farmer, 0, source=stranger)
    narrow = bench.builder(farmer).append_change_trust_op(Asset(*bench.identity.kale), "2504.9999999", None)
    assert bench.land(sign(narrow.build(), farmer)).result.is_success
    error = simulated_error(bench, stranger, bench.kale, "harvest", *harvest_arguments(farmer, 0))
    assert error == ("Error(Contract, #10)", "sac")
    assert operation_codes(bench.land(harvest)) == TRAPPED
    assert bench.pail(farmer, 0) is not None


# Instances


def test_a_call_keeps_the_instance_alive(begun: Bench) -> None:
    key = instance_key(begun.kale)
    entry = begun.ledger.state.get(key)
    assert entry is not None
    begun.ledger.state.apply({key: entry.extended(begun.ledger.latest.sequence + 1_000)})
    applied = begun.land(begun.plant(begun.account("farmer", kale=0)))
    assert applied.result.is_success
    assert ends_of(begun, [key]) == {applied.ledger + MAX_TTL - 1}


def test_changed_code_makes_old_footprints_trap_and_shows_in_the_instance(begun: Bench) -> None:
    farmer = begun.account("farmer", kale=0)
    old = begun.plant(farmer)
    wasm_hash = begun.devnet.change_wasm()
    assert operation_codes(begun.land(old)) == TRAPPED
    entry = begun.ledger.state.get(instance_key(begun.kale))
    assert entry is not None
    assert bytes.fromhex(wasm_hash) in entry.data
    assert begun.land(begun.plant(farmer)).result.is_success


def test_a_proof_of_the_published_block_verifies_on_the_ledger() -> None:
    proof = Proof(
        37, 20495217910, bytes.fromhex("0000000099be0037e5a48324959cb9dd10965ae59511cfd1996f9b917aad9980"), 8
    )
    bench = Bench(LedgerSettings(first_index=36))
    farmer = "GBQHTQ7NTSKHVTSVM6EHUO3TU4P4BK2TAAII25V2TT2Q6OWXUJWEKALE"
    caller = bench.account("caller", kale=0)
    bench.open_block(caller)
    block = bench.block(37)
    assert block is not None
    entropy = bytes.fromhex("0000000009faeb2ff8dc93fb334dabc1398e359a163a6bb538f633fdb9b327ca")
    bench.ledger.put_now(block_key(bench.kale, 37), replace(block, entropy=entropy))
    pail = bench.pail(caller, 37)
    bench.ledger.put_now(pail_key(bench.kale, farmer, 37), pail)
    arguments = [scval.to_address(farmer), scval.to_bytes(proof.hash), scval.to_uint64(proof.nonce)]
    bench.close()
    assert bench.land(bench.call(caller, bench.kale, "work", arguments)).result.is_success
    worked = bench.pail(farmer, 37)
    assert worked is not None
    assert worked.zeros == proof.zeros


def test_a_transaction_signed_for_another_network_is_refused(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=0)
    envelope = bench.unsigned_call(farmer, bench.kale, "plant", plant_arguments(farmer, 0))
    envelope = bench.assemble(envelope, bench.simulate(envelope))
    elsewhere = TransactionEnvelope(envelope.transaction, "Test SDF Network ; September 2015")
    assert refusal(bench.send(sign(elsewhere, farmer))) == "txBAD_AUTH"
