"""Who gets what of a reward, and what a lost stake is owed: whole stroops, and postings that sum to zero.

A harvest mints into the farmer's own wallet, so nothing here moves KALE: it says whose the KALE in a
wallet is. ``owed:...`` accounts hold what is still to be paid out, ``paid:...`` what was, ``kept:...``
what stays in the wallet for good; ``shared:...`` is where it came from. See docs/MONEY.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import MAX_I64, stroops
from kalepool.core.farmers import BPS, Custody
from kalepool.core.postings import EXTERNAL, KALE, account
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kalepool.core.farmers import Terms
    from kalepool.core.postings import Posting
    from kalepool.core.records import PailRecord

OWED: Final = "owed:"
"""How accounts begin that hold what is still to be paid; none of them is ever below zero."""

SENT: Final = "sent:"
"""How a reserve begins that says what a transaction sends out of an account where no event tells of it."""

COMPENSATION: Final = "compensation"
"""What lost stakes have cost the pool, negative."""


class Claim(StrEnum):
    """Who is owed something on account of a farmer's wallet."""

    FARMER = "farmer"  # his share, out of his wallet, to his payout address
    POOL = "pool"  # the fee and the pool's part, out of his wallet, to the operator
    COMPENSATION = "compensation"  # for a lost stake, by the operator, to the farmer


class Loss(StrEnum):
    """On whose account a stake was lost."""

    POOL = "pool"
    NETWORK = "network"
    FARMER = "farmer"


@dataclass(frozen=True, slots=True)
class Split:
    """A reward, parted; the three sum to it. Stroops.

    Attributes:
        fee: the platform's.
        farmer: his share of what the fee left.
        pool: the rest, and with it every stroop that rounding left over.
    """

    fee: int
    farmer: int
    pool: int


def split(reward: int, *, share_bps: int, fee_bps: int) -> Split:
    """Part a reward.

    Args:
        reward: stroops, 0 to what the network can hold; the stake is no part of it.
        share_bps: the farmer's part after the fee, 0 to 10,000 basis points.
        fee_bps: the platform's part, 0 to 10,000 basis points.

    Raises:
        UsageError: when something is not an integer, or out of its range.
    """
    if not 0 <= stroops(reward) <= MAX_I64:
        raise UsageError("a reward is between nothing and what the network can hold")
    for bps in (share_bps, fee_bps):
        if type(bps) is not int or not 0 <= bps <= BPS:
            raise UsageError("a part is a whole number of basis points, 0 to 10000")
    fee = reward * fee_bps // BPS
    farmer = (reward - fee) * share_bps // BPS
    return Split(fee, farmer, reward - fee - farmer)


def interest_of(terms: Terms, *, for_pool: bool) -> float:
    """Give the part of a farmer's reward that counts in what is made the most of, 0 to 1.

    Args:
        terms: his.
        for_pool: whether that is the pool's part alone; all of it otherwise, whoever gets it.
    """
    if not for_pool:
        return 1.0
    return 1 - (BPS - terms.fee_bps) * terms.share_bps / BPS**2


def owed(claim: Claim, farmer: int) -> str:
    """Name the account of what is still to be paid on account of a farmer."""
    return f"{OWED}{claim}:{farmer}"


def claim_of(name: str) -> tuple[Claim, int] | None:
    """Give whose claim an ``owed:`` account is, and which farmer's; None for another account."""
    if not name.startswith(OWED):
        return None
    claim, _, farmer = name.removeprefix(OWED).partition(":")
    return Claim(claim), int(farmer)


def sent(address: str) -> str:
    """Name the reserve of XLM that a transaction sends out of an account: the asset's events do not tell of it."""
    return f"{SENT}{address}"


def paid(claim: Claim, farmer: int) -> str:
    """Name the account of what was paid on account of a farmer."""
    return f"paid:{claim}:{farmer}"


def kept(farmer: int) -> str:
    """Name the account of shares that stay in a farmer's wallet, who has no payout address."""
    return f"kept:{farmer}"


def shared(part: str, farmer: int) -> str:
    """Name the account of all that a farmer's rewards gave to ``farmer``, ``pool`` or ``fee``, negative."""
    return f"shared:{part}:{farmer}"


def receivable(farmer: int) -> str:
    """Name the account of what a self-custody farmer owes: his wallet is not the pool's to pay from."""
    return f"receivable:{farmer}"


def share_key(farmer: int, block: int) -> str:
    """Key under which a harvested pail is settled, once."""
    return f"share:{farmer}:{block}"


def loss_key(farmer: int, block: int) -> str:
    """Key under which a lost stake is settled, once."""
    return f"loss:{farmer}:{block}"


def share_postings(record: PailRecord, terms: Terms, custody: Custody) -> tuple[Posting, ...]:
    """Give what a harvested pail means for who is owed what.

    Args:
        record: harvested.
        terms: that held for its block.
        custody: who holds the farmer's keys.
    """
    assert record.reward is not None
    parts = split(record.reward, share_bps=terms.share_bps, fee_bps=terms.fee_bps)
    return split_postings(parts, record.farmer, terms, custody)


def split_postings(parts: Split, number: int, terms: Terms, custody: Custody) -> tuple[Posting, ...]:
    """Give what a parted reward means for who is owed what.

    Args:
        parts: of the reward.
        number: the farmer's.
        terms: by which it was parted.
        custody: who holds the farmer's keys.
    """
    custodial = custody is Custody.CUSTODIAL
    his = owed(Claim.FARMER, number) if custodial and terms.payout is not None else kept(number)
    pools = owed(Claim.POOL, number) if custodial else receivable(number)
    return _without_zeros(
        (
            (his, KALE, parts.farmer),
            (pools, KALE, parts.fee + parts.pool),
            (shared("farmer", number), KALE, -parts.farmer),
            (shared("pool", number), KALE, -parts.pool),
            (shared("fee", number), KALE, -parts.fee),
        )
    )


def loss_of(record: PailRecord, custody: Custody) -> Loss | None:
    """Tell on whose account a pail's stake was lost; None where none was.

    The pool planted it and promised to work and harvest it, so what is not known to be somebody else's is
    the pool's. Known are: a self-custody farmer, who planted himself at his own moment; and reasons that
    begin with ``network:``, written where the network was seen to stand still.
    """
    if not record.stake_lost:
        return None
    if custody is Custody.WATCHED:
        return Loss.FARMER
    return Loss.NETWORK if record.why.startswith(f"{Loss.NETWORK}:") else Loss.POOL


def loss_postings(record: PailRecord, amount: int) -> tuple[Posting, ...]:
    """Give the compensation of a lost stake, stroops; none for nothing."""
    number = record.farmer
    return _without_zeros(
        ((owed(Claim.COMPENSATION, number), KALE, amount), (COMPENSATION, KALE, -amount)),
    )


def discharged(reserves: Iterable[Posting]) -> tuple[Posting, ...]:
    """Give what it means that a transaction landed, beside what it told: the claims it had reserved are paid.

    Args:
        reserves: (account, asset, stroops) of an intent; most of them mean nothing here.
    """
    postings: list[Posting] = []
    for name, asset, amount in reserves:
        claim = claim_of(name)
        if claim is not None:
            postings += [(name, asset, -amount), (paid(*claim), asset, amount)]
        elif name.startswith(SENT):
            postings += [
                (account(name.removeprefix(SENT)), asset, -amount),
                (EXTERNAL, asset, amount),
            ]
    return tuple(postings)


def spoken_for(
    reserved: Mapping[tuple[str, str], int],
    balances: Mapping[tuple[str, str], int],
    wallets: Mapping[int, str],
) -> dict[tuple[str, str], int]:
    """Give what of each account is not free, by (account, asset): what is owed from a wallet must not be staked.

    Args:
        reserved: what open intents may still spend.
        balances: of claims, by (account, asset).
        wallets: addresses of farmers, by number.
    """
    found = dict(reserved)
    for (name, asset), balance in balances.items():
        claim = claim_of(name)
        if claim is None or claim[0] is Claim.COMPENSATION or claim[1] not in wallets:
            continue
        # A payment under way has reserved the wallet too.
        free = balance - reserved.get((name, asset), 0)
        key = account(wallets[claim[1]]), asset
        found[key] = found.get(key, 0) + free
    return found


def _without_zeros(postings: tuple[Posting, ...]) -> tuple[Posting, ...]:
    return tuple(posting for posting in postings if posting[2])
