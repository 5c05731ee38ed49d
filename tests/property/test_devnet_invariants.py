"""Whatever is sent to a network, in whatever order: what must hold after every ledger holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from stellar_sdk import Asset, Keypair, TransactionBuilder, TransactionEnvelope, scval

from kalepool.devnet.entries import Account, Balance, Trustline
from kalepool.devnet.ledger import TOTAL_COINS, LedgerSettings
from kalepool.devnet.validity import Limits
from kalepool.xdr.keys import trustline_key
from support.devnet import (
    KALE,
    Bench,
    harvest_arguments,
    keypair,
    plant_arguments,
    sign,
    work_arguments,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stellar_sdk import xdr

NAMES = [f"holder {number}" for number in range(6)]
KEYS = {name: keypair(name) for name in NAMES}
# Around the reserves, and far beyond what anybody has.
AMOUNTS = st.sampled_from(["0.0000001", "0.5", "1", "1.4999", "2.49", "30", "5000"])
HOLDERS = st.sampled_from(NAMES)
KINDS = st.sampled_from(
    ["create", "pay", "pay KALE", "trust", "distrust", "begin", "end", "merge", "bump sequence"]
)


class Crowd(RuleBasedStateMachine):
    """A few accounts with little XLM on a network with little room, who do anything to each other."""

    def __init__(self) -> None:
        super().__init__()
        limits = Limits(transactions=2, operations=8)
        self.bench = Bench(LedgerSettings(temporary_ttl=90, limits=limits))
        self.asset = Asset(*self.bench.identity.kale)
        for number, keys in enumerate(KEYS.values()):
            if number < 4:
                self.bench.account(NAMES[number], xlm=3 * number + 3, kale=10 if number % 2 else None)
            assert keys.public_key.startswith("G")
        self.numbers: dict[str, int] = {}
        self.kale = self.held()
        self.seen = self.bench.ledger.latest.sequence

    def held(self) -> int:
        """Count all KALE that anybody holds."""
        values = [entry.value for entry in self.bench.ledger.state]
        lines = sum(value.balance for value in values if isinstance(value, Trustline))
        return lines + sum(value.amount for value in values if isinstance(value, Balance))

    def accounts(self) -> Iterator[Account]:
        return (entry.value for entry in self.bench.ledger.state if isinstance(entry.value, Account))

    def builder(self, name: str, ahead: int = 0) -> TransactionBuilder:
        return self.bench.builder(KEYS[name], ahead=ahead)

    def submit(self, envelope: TransactionEnvelope, signers: Iterable[str], payer: str | None) -> None:
        sign(envelope, *(KEYS[name] for name in dict.fromkeys(signers)))
        self.bench.send(envelope if payer is None else self.bench.bump(envelope, KEYS[payer], 400))

    @rule(
        source=HOLDERS,
        steps=st.lists(st.tuples(KINDS, HOLDERS, HOLDERS, AMOUNTS), min_size=1, max_size=6),
        payer=st.none() | HOLDERS,
    )
    def classic(self, source: str, steps: list[tuple[str, str, str, str]], payer: str | None) -> None:
        """Send classic operations of several accounts, all of whom sign."""
        builder = self.builder(source)
        for kind, actor, other, amount in steps:
            self.append(builder, kind, KEYS[actor], KEYS[other], amount)
        self.submit(builder.build(), [source, *(actor for _, actor, _, _ in steps)], payer)

    @rule(kind=KINDS, actor=HOLDERS, other=HOLDERS, amount=AMOUNTS, payer=st.none() | HOLDERS)
    def one(self, kind: str, actor: str, other: str, amount: str, payer: str | None) -> None:
        """Send one operation alone, which no other can fail."""
        builder = self.builder(actor)
        self.append(builder, kind, KEYS[actor], KEYS[other], amount)
        self.submit(builder.build(), [actor], payer)

    def append(
        self, builder: TransactionBuilder, kind: str, actor: Keypair, other: Keypair, amount: str
    ) -> None:
        source, target = actor.public_key, other.public_key
        if kind == "create":
            builder.append_create_account_op(target, amount if amount != "0.0000001" else "0", source)
        elif kind == "pay":
            builder.append_payment_op(target, Asset.native(), amount, source)
        elif kind == "pay KALE":
            builder.append_payment_op(target, self.asset, amount, source)
        elif kind == "trust":
            builder.append_change_trust_op(self.asset, amount, source)
        elif kind == "distrust":
            builder.append_change_trust_op(self.asset, "0", source)
        elif kind == "begin":
            builder.append_begin_sponsoring_future_reserves_op(target, source)
        elif kind == "end":
            builder.append_end_sponsoring_future_reserves_op(source)
        elif kind == "merge":
            builder.append_account_merge_op(target, source)
        else:
            builder.append_bump_sequence_op(int(float(amount)), source)

    @rule(sponsor=HOLDERS, sponsored=HOLDERS, amount=st.sampled_from(["0", "1", "3"]))
    def sponsor(self, sponsor: str, sponsored: str, amount: str) -> None:
        """Start an account whose reserves another carries, as pools do."""
        builder = self.builder(sponsor)
        for kind in ("begin", "create", "trust", "end"):
            actor = sponsor if kind in ("begin", "create") else sponsored
            value = "5000" if kind == "trust" else amount
            if kind == "create":
                builder.append_create_account_op(KEYS[sponsored].public_key, value, KEYS[actor].public_key)
            else:
                self.append(builder, kind, KEYS[actor], KEYS[sponsored], value)
        self.submit(builder.build(), [sponsor, sponsored], None)

    @rule(
        function=st.sampled_from(
            ["plant", "work", "harvest", "tractor", "transfer", "to a contract", "burn"]
        ),
        farmer=HOLDERS,
        other=HOLDERS,
        amount=st.sampled_from([0, 1, KALE, 7 * KALE]),
        payer=st.none() | HOLDERS,
    )
    def call(self, function: str, farmer: str, other: str, amount: int, payer: str | None) -> None:
        """Send a call, where a simulation finds that it would work."""
        bench, keys = self.bench, KEYS[farmer]
        contract, name, arguments = self.arguments(function, keys, KEYS[other], amount)
        envelope = bench.unsigned_call(keys, contract, name, arguments)
        result: Any = bench.simulate(envelope)
        if "error" in result:
            return
        sent = bench.assemble(envelope, result, keys)
        bench.send(sent if payer is None else bench.bump(sent, KEYS[payer], 300))

    def arguments(
        self, function: str, keys: Keypair, other: Keypair, amount: int
    ) -> tuple[str, str, list[xdr.SCVal]]:
        bench = self.bench
        if function == "plant":
            return bench.kale, function, plant_arguments(keys, amount)
        if function == "work":
            if bench.block(bench.farm.index) is None:
                return bench.kale, function, []
            return bench.kale, function, work_arguments(keys, bench.proof(keys, zeros=amount % 3))
        if function == "harvest":
            return bench.kale, function, harvest_arguments(keys, max(bench.farm.index - 1, 0))
        if function == "tractor":
            wanted = [scval.to_uint32(index) for index in range(bench.farm.index)]
            return bench.tractor, "harvest", [scval.to_address(keys.public_key), scval.to_vec(wanted)]
        mine, stroops = scval.to_address(keys.public_key), scval.to_int128(amount)
        if function == "burn":
            return bench.sac, function, [mine, stroops]
        target = bench.tractor if function == "to a contract" else other.public_key
        return bench.sac, "transfer", [mine, scval.to_address(target), stroops]

    @rule(farmer=HOLDERS, other=HOLDERS, stake=st.sampled_from([0, KALE]))
    def farm(self, farmer: str, other: str, stake: int) -> None:
        """Plant, work and harvest, as far as others let it."""
        self.call("plant", farmer, other, stake, None)
        self.bench.close()
        self.call("work", farmer, other, stake, None)
        self.bench.close_until_due()
        self.bench.close()
        self.call("plant", other, farmer, 0, None)
        self.bench.close()
        self.call("harvest", farmer, other, 0, None)
        self.bench.close()

    @rule(ledgers=st.sampled_from([1, 1, 1, 2, 61]))
    def close(self, ledgers: int) -> None:
        """Let time pass; now and then a whole block."""
        self.bench.close(ledgers)

    @precondition(lambda self: self.bench.ledger.latest.sequence > self.seen)
    @invariant()
    def all_that_is_counted_adds_up(self) -> None:
        """Hold the ledgers since the last look to everything at once: a look costs a walk through the state."""
        ledger = self.bench.ledger
        accounts = {account.address: account for account in self.accounts()}
        for closed in ledger.ledgers(self.seen + 1, ledger.latest.sequence):
            assert closed.fee_pool == ledger.closed(closed.sequence - 1).fee_pool + sum(  # type: ignore[union-attr]
                applied.result.fee_charged for applied in closed.transactions
            )
            for told in closed.events:
                sign_of = {"mint": 1, "burn": -1}.get(told.event.kind, 0)
                if told.event.contract == self.bench.sac:
                    self.kale += sign_of * told.event.amount
            for applied in closed.transactions:
                assert 0 < applied.result.fee_charged <= applied.transaction.fee
        self.seen = ledger.latest.sequence
        # XLM moves and is never made; KALE changes by what the events say.
        assert sum(one.balance for one in accounts.values()) + ledger.latest.fee_pool == TOTAL_COINS
        assert self.held() == self.kale
        for account in accounts.values():
            assert account.spendable >= 0, "nothing takes an account below its reserve"
            # An account that is merged and created anew must not get numbers that it has used.
            assert account.sequence >= self.numbers.get(account.address, 0)
            self.numbers[account.address] = account.sequence
        self.reserves_have_carriers(accounts)

    def reserves_have_carriers(self, accounts: dict[str, Account]) -> None:
        """What is sponsored of some is what others sponsor, entry by entry."""
        carried: dict[str, int] = dict.fromkeys(accounts, 0)
        for account in accounts.values():
            line = self.bench.ledger.state.get(trustline_key(account.address, self.bench.identity.kale))
            held = line.value if line is not None else None
            assert account.subentries == (held is not None)
            own = 0
            if account.sponsor is not None:
                carried[account.sponsor] += 2
                own += 2
            if isinstance(held, Trustline):
                assert 0 <= held.balance <= held.limit
                if held.sponsor is not None:
                    carried[held.sponsor] += 1
                    own += 1
            assert account.sponsored == own
        assert {address: one.sponsoring for address, one in accounts.items()} == carried

    def teardown(self) -> None:
        """Nothing waits for ever."""
        self.bench.close(5)
        assert len(self.bench.ledger.queue) == 0
        self.all_that_is_counted_adds_up()


TestCrowd = Crowd.TestCase
TestCrowd.settings = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
