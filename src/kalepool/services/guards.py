"""What keeps planting within bounds: the contract's code, the day's fees, the operator's XLM.

None of them holds back works and harvests of what is planted already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import format_amount
from kalepool.core.facts import CONTRACT_CODE
from kalepool.core.intents import Kind
from kalepool.core.postings import FEES, XLM, account
from kalepool.core.records import PailState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalepool.core.chain import AccountState, Snapshot
    from kalepool.services.means import Means

_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Leave:
    """How many farmers may be planted for now, and what holds the others back."""

    farmers: int
    reason: str = ""


class Guards:
    """Decides how much may be planted.

    Args:
        means: of the pool.
    """

    def __init__(self, means: Means) -> None:
        self._means = means

    def code(self, snapshot: Snapshot) -> str:
        """Hold the contract's code against what was agreed; give what is wrong, or nothing.

        The first code ever seen is agreed. What is built from now on is built for the code that runs.
        """
        runs = snapshot.wasm_hash.hex()
        self._means.composer.adopt(snapshot.wasm_hash)
        agreed = self._means.facts.get(CONTRACT_CODE)
        if agreed is None:
            self._means.facts.put(CONTRACT_CODE, runs)
            agreed = runs
        if agreed == runs:
            return ""
        return (
            f"the KALE contract runs other code than agreed ({runs}): nothing is planted. "
            f"Look at what changed; to agree: kalepool doctor --agree-contract {runs}"
        )

    def leave(self, operator: AccountState | None, now: float) -> Leave:
        """Tell how many farmers may be planted for, beside what is planted and under way."""
        reserved = self._means.journal.reserved()
        # A work and a harvest of every open pail must be paid for, whatever is planted now.
        alive = self._means.pails.alive()
        working = sum(record.state in {PailState.PLANNED, PailState.PLANTED} for record in alive)
        open_pails = working * self.fee(Kind.WORK) + len(alive) * self.fee(Kind.HARVEST)
        return min(
            (self._by_day(reserved, open_pails, now), self._by_balance(operator, reserved, open_pails)),
            key=lambda leave: leave.farmers,
        )

    def fee(self, kind: Kind) -> int:
        """Give what to set aside for one transaction, stroops."""
        return self._means.composer.most_fee(kind)

    def _by_day(self, reserved: Mapping[tuple[str, str], int], open_pails: int, now: float) -> Leave:
        begun = now // _DAY_S * _DAY_S
        spent, given_back = self._means.books.turnover(FEES, XLM, begun, begun + _DAY_S)
        at_stake = spent - given_back + open_pails + reserved.get((account(self._means.operator), XLM), 0)
        left = self._means.day_most - at_stake
        return Leave(
            max(left // self._whole(), 0),
            f"fees of this day come to {format_amount(at_stake)} XLM with those of open pails, of at most "
            f"{format_amount(self._means.day_most)}: see fees.day_most_xlm",
        )

    def _by_balance(
        self, operator: AccountState | None, reserved: Mapping[tuple[str, str], int], open_pails: int
    ) -> Leave:
        if operator is None:
            return Leave(0, "the operator's account does not exist: fund it")
        free = operator.spendable - reserved.get((account(operator.address), XLM), 0) - open_pails
        return Leave(
            max(free // self._whole(), 0),
            f"the operator has {format_amount(operator.spendable)} XLM to spend, open pails need "
            f"{format_amount(open_pails)} and each plant {format_amount(self._whole())}: "
            f"send XLM to {operator.address}",
        )

    def _whole(self) -> int:
        """Give what one more pail may cost until it is harvested."""
        return self.fee(Kind.PLANT) + self.fee(Kind.WORK) + self.fee(Kind.HARVEST)
