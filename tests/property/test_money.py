"""Whatever happens in whatever order: postings sum to zero, nobody is paid more than owed, and in the end all are paid."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kalepool.core.facts import BOOKED, RESTORED, UNREAD
from kalepool.core.farmers import FarmerState
from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.shares import OWED, Claim, paid, shared
from kalepool.devnet.entries import Trustline
from kalepool.xdr.keys import trustline_key
from support.cashbox import HALF, Cashbox, PowerCutError
from support.devnet import KALE

if TYPE_CHECKING:
    from kalepool.core.farmers import Farmer

START = 100 * KALE
REWARDS = st.sampled_from([0, 1, 2, 9_999, 10_001, KALE, 7 * KALE + 3, 90_071_992_547_409])
BPS = st.sampled_from([0, 1, 3_333, 5_000, 9_999, 10_000])
PLACES = st.integers(0, 3)


class Money(RuleBasedStateMachine):
    """A pool with four farmers, beside a plain sum of what is whose."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.box = Cashbox(Path(self.folder.name), channels=2)
        self.block = 10
        self.his: Counter[int] = Counter()
        self.pools = 0
        self.compensated = 0
        self.addresses: dict[int, list[str]] = {}
        self.agreed: dict[int, tuple[int, int]] = {}

    @initialize()
    def populate(self) -> None:
        for farmer in self.box.add(4, terms=replace(HALF, exit_delay_h=0)):
            self.his[farmer.number] = START
            assert farmer.terms.payout is not None
            self.addresses[farmer.number] = [farmer.terms.payout]
            self.agreed[farmer.number] = HALF.share_bps, HALF.fee_bps
        self.gift = 100 * KALE
        self.box.bench.ledger.give_kale(self.box.stead.operator, self.gift)

    def farmer(self, place: int) -> Farmer:
        return self.box.pool.farmers.get(self.box.farmers[place].name)

    def stays(self, place: int) -> bool:
        return self.farmer(place).state is FarmerState.ACTIVE

    # What happens

    @rule(place=PLACES, reward=REWARDS)
    def harvest(self, place: int, reward: int) -> None:
        if not self.stays(place):
            return
        self.block += 1
        farmer = self.farmer(place)
        self.box.harvest(farmer, self.block, reward)
        # Counted here by itself: what the program says of a reward must not be its own judge.
        share_bps, fee_bps = self.agreed[farmer.number]
        fee = reward * fee_bps // 10_000
        his = (reward - fee) * share_bps // 10_000
        self.his[farmer.number] += his
        self.pools += reward - his

    @rule(place=PLACES)
    def lose(self, place: int) -> None:
        if self.stays(place):
            self.block += 1
            self.box.lose(self.farmer(place), self.block, KALE)
            self.his[self.farmer(place).number] += KALE
            self.compensated += KALE

    @rule(place=PLACES, share=BPS, fee=BPS, new_address=st.booleans())
    def agree(self, place: int, share: int, fee: int, new_address: bool) -> None:
        if not self.stays(place):
            return
        farmer = self.farmer(place)
        terms = replace(farmer.terms, share_bps=share, fee_bps=fee)
        if new_address:
            known = self.addresses[farmer.number]
            address = self.box.bench.account(f"payout {farmer.number}/{len(known)}", kale=0).public_key
            known.append(address)
            terms = replace(terms, payout=address)
        self.block += 1
        self.box.agree(farmer, terms, self.block)
        self.agreed[farmer.number] = share, fee

    @rule(place=PLACES, room=st.sampled_from([0, 1, 10 * KALE, None]))
    def limit(self, place: int, room: int | None) -> None:
        """Let a payout address have this much room from now on; None for all there can be."""
        for address in self.addresses[self.box.farmers[place].number]:
            self.set_room(address, room)

    @rule(cut=st.none() | st.tuples(st.integers(0, 2), st.booleans()))
    def pay(self, cut: tuple[int, bool] | None) -> None:
        if cut is not None:
            self.box.crash()
            self.box.cut_wire(cut[0], before=cut[1])
        try:
            self.box.payout()
        except PowerCutError:
            self.box.crash()

    @rule(cut=st.none() | st.tuples(st.integers(0, 2), st.booleans()))
    def pay_and_lose_the_store(self, cut: tuple[int, bool] | None) -> None:
        """Pay, and bring back the store as it was before: what was paid then is known to the chain alone."""
        self.box.crash()
        assert self.box.pool.store.value("PRAGMA wal_checkpoint(TRUNCATE)") == 0
        path = Path(self.folder.name) / "kalepool.db"
        old = path.read_bytes()
        self.pay(cut)
        self.box.pool.close()
        for leftover in Path(self.folder.name).glob("kalepool.db-*"):
            leftover.unlink()
        path.write_bytes(old)
        self.box.start()
        self.box.pool.facts.put(RESTORED, "1")
        if self.box.pool.facts.get(UNREAD) is None:
            self.box.pool.facts.put(UNREAD, str(int(self.box.pool.facts.get(BOOKED) or 0) + 1))

    @rule(place=PLACES)
    def ask_to_leave(self, place: int) -> None:
        self.box.ask_to_leave(self.box.farmers[place])

    @rule(place=PLACES, cut=st.none() | st.tuples(st.integers(0, 1), st.booleans()))
    def leave(self, place: int, cut: tuple[int, bool] | None) -> None:
        if self.farmer(place).state is not FarmerState.EXITING:
            return
        if cut is not None:
            self.box.crash()
            self.box.cut_wire(cut[0], before=cut[1])
        try:
            self.box.advance(self.box.farmers[place])
        except PowerCutError:
            self.box.crash()

    @rule(place=PLACES)
    @precondition(lambda self: self.box.farmers)
    def stay_after_all(self, place: int) -> None:
        if self.farmer(place).state is FarmerState.EXITING:
            self.box.stay(self.box.farmers[place])

    # What must hold

    @invariant()
    def books_sum_to_zero_and_nobody_was_paid_more_than_his_share(self) -> None:
        books = self.box.pool.books
        assert books.total() == 0
        for (name, _), stroops in books.balances().items():
            assert stroops >= 0 or not name.startswith(OWED)
        for farmer in self.box.farmers:
            number = farmer.number
            assert books.balance(paid(Claim.FARMER, number), KALE_NAME) <= -books.balance(
                shared("farmer", number), KALE_NAME
            )

    @invariant()
    def every_stroop_is_where_somebody_may_claim_it(self) -> None:
        held = sum(self.held(farmer) for farmer in self.box.farmers) + self.box.kale(self.box.stead.operator)
        assert held == sum(self.his.values()) + self.pools + self.gift - self.compensated

    def teardown(self) -> None:
        if self.box.farmers:
            for addresses in self.addresses.values():
                for address in addresses:
                    self.set_room(address, None)
            # Whatever came before, the end has a share and a lost stake to pay, by payout and by exit.
            for place in range(len(self.box.farmers)):
                self.harvest(place, 7 * KALE + 3)
                self.agree(place, share=1, fee=9_999, new_address=False)  # of no concern to what came before
                self.lose(place)
            self.ask_to_leave(0)
            self.box.payout()
            for farmer in self.box.farmers:
                if self.box.pool.farmers.get(farmer.name).state is FarmerState.EXITING:
                    assert self.box.advance(farmer).done
            self.box.payout()
            owed = {name: n for (name, _), n in self.box.pool.books.balances().items() if OWED in name and n}
            assert owed == {}
            for farmer in self.box.farmers:
                assert self.held(farmer) == self.his[farmer.number]
            operator = self.box.kale(self.box.stead.operator)
            assert operator == self.pools + self.gift - self.compensated
        self.box.pool.close()
        self.folder.cleanup()

    # Means

    def held(self, farmer: Farmer) -> int:
        return self.box.wallet(farmer) + sum(map(self.box.kale, self.addresses[farmer.number]))

    def set_room(self, address: str, room: int | None) -> None:
        key = trustline_key(address, self.box.bench.identity.kale)
        entry = self.box.bench.ledger.state.get(key)
        assert entry is not None
        assert isinstance(entry.value, Trustline)
        limit = 2**63 - 1 if room is None else entry.value.balance + room
        self.box.bench.ledger.put_now(key, replace(entry.value, limit=limit))


TestMoney = Money.TestCase
TestMoney.settings = settings(
    max_examples=8, stateful_step_count=12, suppress_health_check=list(HealthCheck), deadline=None
)
