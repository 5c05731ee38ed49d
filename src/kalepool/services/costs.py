"""What calls cost lately, beside the model that holds until something has been seen."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Final

from kalepool.core.economics import Fees
from kalepool.core.facts import FEES_PAID
from kalepool.core.intents import Kind

if TYPE_CHECKING:
    from kalepool.ports import Facts

_KEPT: Final = 51
_ENOUGH: Final = 3
_PERMILLE: Final = 1_000
_MODEL: Final = Fees()
_KINDS: Final = (Kind.PLANT, Kind.WORK, Kind.HARVEST)


class Costs:
    """Learns fees: by how much each kind of call costs more or less than the model says.

    A harvest's fee grows with its blocks, so what is learned of it is one factor over the model's parts.

    Args:
        facts: where it is kept over a restart.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._seen = _unpacked(facts.get(FEES_PAID))
        self._fees = self._learned()

    @property
    def fees(self) -> Fees:
        """What calls cost: the median of the latest, or the model where fewer than three were seen."""
        return self._fees

    def note(self, kind: Kind, blocks: int, charged: int) -> None:
        """Take note of a fee, stroops, that one call was charged.

        Args:
            kind: plant, work or harvest; of others nothing is learned.
            blocks: that a harvest was of.
            charged: what it cost.
        """
        if kind in self._seen and charged > 0 and blocks > 0:
            self._seen[kind].append(round(_PERMILLE * charged / _modelled(kind, blocks)))
            self._fees = self._learned()

    def save(self) -> None:
        """Keep it over a restart."""
        self._facts.put(
            FEES_PAID, " ".join(f"{kind}:{','.join(map(str, seen))}" for kind, seen in self._seen.items())
        )

    def _learned(self) -> Fees:
        plant, work, harvest = (self._factor(kind) for kind in _KINDS)
        return Fees(
            plant=round(_MODEL.plant * plant),
            work=round(_MODEL.work * work),
            harvest=round(_MODEL.harvest * harvest),
            batch=round(_MODEL.batch * harvest),
            batch_block=round(_MODEL.batch_block * harvest),
        )

    def _factor(self, kind: Kind) -> float:
        seen = self._seen[kind]
        return median(seen) / _PERMILLE if len(seen) >= _ENOUGH else 1.0


def _modelled(kind: Kind, blocks: int) -> float:
    if kind is Kind.HARVEST:
        return blocks * _MODEL.harvest_each(blocks)
    return float(_MODEL.plant if kind is Kind.PLANT else _MODEL.work)


def _unpacked(text: str | None) -> dict[Kind, deque[int]]:
    told = dict(word.partition(":")[::2] for word in (text or "").split())
    return {
        kind: deque((int(one) for one in told.get(kind, "").split(",") if one.isdecimal()), _KEPT)
        for kind in _KINDS
    }
