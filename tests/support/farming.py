"""Orders for everything a farmer's season has, over a house: plants, works, harvests by channel and tractor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.adapters.stellar.calls import Harvest, Plant, TractorHarvest, Work
from kalepool.core.intents import Kind, Plan, pail_item
from kalepool.services.submit import Order
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stellar_sdk import Keypair

    from kalepool.adapters.stellar.calls import ContractCall
    from kalepool.core.farm import Pail, Proof
    from kalepool.ports import Sealed
    from support.house import House


class Season:
    """Sends what farmers do through a house's services.

    Args:
        house: whose.
        farmers: whose numbers are their places, from 1.
    """

    def __init__(self, house: House, farmers: Sequence[Keypair]) -> None:
        self.house = house
        self.pool = house.pool
        self.farmers = list(farmers)
        self._sent = 0

    def plants(self, stakes: Sequence[int], *, seconds: int = 30) -> list[Order]:
        """Order a plant for each of the first farmers."""
        block = self.pool.farm.index
        return [
            self._order(Kind.PLANT, number, (block,), Plant(farmer.public_key, stake, block), farmer, seconds)
            for number, (farmer, stake) in enumerate(zip(self.farmers, stakes, strict=False), start=1)
        ]

    def works(self, farmers: Sequence[int], *, zeros: int = 0, improves: bool = False) -> list[Order]:
        """Order a work for farmers by number, from their own accounts."""
        block = self.pool.farm.index
        orders = []
        for number in farmers:
            farmer = self.farmers[number - 1]
            proof: Proof = self.pool.proof(farmer, zeros)
            call = Work(farmer.public_key, block, proof.hash, proof.nonce, improves)
            orders.append(self._order(Kind.WORK, number, (block,), call, farmer, 30))
        return orders

    def harvest(self, number: int, blocks: Sequence[int], channel: Keypair) -> Order:
        """Order a harvest from a channel: of one block, or by the tractor of several."""
        farmer = self.farmers[number - 1].public_key
        call: ContractCall = (
            Harvest(farmer, blocks[0]) if len(blocks) == 1 else TractorHarvest(farmer, tuple(blocks))
        )
        return self._order(Kind.HARVEST, number, tuple(blocks), call, channel, 30)

    def send(self, orders: Sequence[Order]) -> None:
        """Submit orders, all of which must leave."""
        assert all(
            result.intent is not None and result.refused is None for result in self.house.submit(*orders)
        )

    def put(self, number: int, pail: Pail) -> None:
        """Give a farmer a pail, so that a plant of his that is on its way fails."""
        self.pool.put_pail(self.farmers[number - 1].public_key, self.pool.farm.index, pail)

    def _order(
        self,
        kind: Kind,
        number: int,
        blocks: tuple[int, ...],
        call: ContractCall,
        source: Keypair,
        seconds: int,
    ) -> Order:
        self._sent += 1
        if not self.pool.transactions.knows(call):
            run(self.pool.transactions.learn(call, source.public_key))
        lane = self.pool.lane(source)

        def build(sequence: int) -> Sealed:
            assert sequence == lane.sequence
            return self.pool.transactions.build(call, lane, self.pool.bounds(seconds), 200)

        items = tuple(pail_item(number, block) for block in blocks)
        plan = Plan(kind, f"{kind}:{number}:{blocks}:{self._sent}", items)
        return Order(plan, source.public_key, lane.sequence - 1, build)
