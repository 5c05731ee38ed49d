"""Farmers: who is one, on which terms, and whether he farms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kalepool.core.address import is_account, raw_key
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.roster import Fault, RosterError
from kalepool.errors import RejectedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.core.farmers import SealedTerms, Stake
    from kalepool.core.roster import Applicant
    from kalepool.ports import Blocks, Chain, Farmers, Pails, Transactions, Vault, Views
    from kalepool.secret import Secret

_LAST_BLOCK = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Change:
    """New terms; what is None stays as it is.

    Attributes:
        stake: what is planted.
        harvest_every: blocks between harvests, 1 to 20.
        share_bps: the farmer's part of the reward after the fee.
        fee_bps: the platform's part of the reward.
        payout: G address, or empty to leave his share in his wallet.
        payout_from: stroops; less than this waits.
        payout_every_h: hours between payouts.
        exit_delay_h: hours between the wish to leave and the end.
        memo: what the payout address wants to see. Another address is another matter: it begins without.
    """

    stake: Stake | None = None
    harvest_every: int | None = None
    share_bps: int | None = None
    fee_bps: int | None = None
    payout: str | None = None
    payout_from: int | None = None
    payout_every_h: int | None = None
    exit_delay_h: int | None = None
    memo: str | None = None

    def on(self, terms: Terms) -> Terms:
        """Give terms with this change.

        Raises:
            UsageError: when a value is out of range.
        """
        payout = terms.payout if self.payout is None else self.payout or None
        memo = self.memo
        if memo is None:
            memo = terms.memo if payout == terms.payout else ""
        given = {
            name: value
            for name in (
                "harvest_every",
                "share_bps",
                "fee_bps",
                "payout_from",
                "payout_every_h",
                "exit_delay_h",
            )
            if (value := getattr(self, name)) is not None
        }
        return replace(terms, stake=self.stake or terms.stake, payout=payout, memo=memo, **given)


class Onboarding:
    """Adds farmers and changes what was agreed with them.

    Args:
        farmers: where they are kept.
        vault: derives wallets and keeps seeds.
        store: makes several changes one.
        pails: tells what is planted.
        blocks: tells which block was seen last.
        views: likewise.
        seal: seals a numbered farmer's terms from a block on, 32 bytes.
        record: writes a line to the audit log.
        defaults: terms of whoever brings none.
        who: the command that does it.
    """

    def __init__(
        self,
        *,
        farmers: Farmers,
        vault: Callable[[], Vault],
        store: Transactions,
        pails: Pails,
        blocks: Blocks,
        views: Views,
        seal: Callable[[Farmer, int], bytes],
        record: Callable[[str], None],
        defaults: Terms,
        who: str,
    ) -> None:
        self._farmers = farmers
        self._vault = vault
        self._store = store
        self._pails = pails
        self._blocks = blocks
        self._views = views
        self._seal = seal
        self._record = record
        self._defaults = defaults
        self._who = who

    # Adding

    def add(self, applicants: Sequence[Applicant]) -> list[Farmer]:
        """Add farmers with wallets derived at the next indexes, all or none.

        Raises:
            UsageError: when a name is taken.
            ConfigError: when the farmers' keys are not unlocked.
        """
        vault = self._vault()  # before the store is held: a person may be typing the passphrase
        # Within one transaction, so that two processes never derive the same wallet.
        with self._store.atomic(synced=True):
            taken = {farmer.address for farmer in self._farmers.all()}
            index = self._farmers.next_wallet_index()
            farmers = []
            for applicant in applicants:
                while (address := vault.wallet(index)) in taken:
                    # Somebody exported this wallet's seed and added it as an imported one.
                    index += 1
                farmers.append(self._farmer(applicant, address, Custody.CUSTODIAL, wallet_index=index))
                index += 1
            return self._enter(farmers)

    def add_listed(self, listed: Sequence[tuple[int, Applicant]]) -> list[Farmer]:
        """Add the farmers of a file, all or none.

        Args:
            listed: (line, applicant) of each.

        Raises:
            RosterError: with every line whose name is taken.
        """
        names = {farmer.name for farmer in self._farmers.all()}
        faults = [
            Fault(line, f"there is a farmer '{applicant.name}' already")
            for line, applicant in listed
            if applicant.name in names
        ]
        if faults:
            more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
            raise RosterError(
                f"line {faults[0].line}: {faults[0].what}{more}",
                faults,
                hint="take these lines out or choose other names: no farmer was added",
            )
        return self.add([applicant for _, applicant in listed])

    def add_seed(self, applicant: Applicant, seed: Secret) -> Farmer:
        """Add a farmer whose seed the pool keeps for him.

        Raises:
            UsageError: when the name or the address is taken, or the seed is malformed.
            ConfigError: when the farmers' keys are not unlocked.
        """
        vault = self._vault()
        farmer = self._farmer(applicant, vault.address_of(seed), Custody.CUSTODIAL)
        self._refuse_taken(farmer)
        # The vault first: a farmer whose key is nowhere would be worse than a key without a farmer.
        vault.keep(seed)
        with self._store.atomic(synced=True):
            return self._enter([farmer])[0]

    def watch(self, applicant: Applicant, address: str) -> Farmer:
        """Add a farmer who keeps his own keys and plants himself; he is active at once.

        Raises:
            UsageError: when name or address are taken, or the address is malformed.
        """
        raw_key(address)
        if applicant.payout is not None:
            raise UsageError(
                "who keeps his own account needs no payout address", hint="his rewards are minted to him"
            )
        farmer = self._farmer(applicant, address, Custody.WATCHED, state=FarmerState.ACTIVE)
        self._vault()
        with self._store.atomic(synced=True):
            return self._enter([farmer])[0]

    # Changing

    def pause(self, names: Sequence[str], *, why: str = "") -> list[Farmer]:
        """Plant no more for some, all or none; open pails are still worked and harvested.

        Raises:
            UsageError: when there is no such farmer, or he cannot be paused.
        """
        return self._move(names, FarmerState.PAUSED, why)

    def resume(self, names: Sequence[str], *, why: str = "") -> list[Farmer]:
        """Plant again for some, all or none.

        Raises:
            UsageError: when there is no such farmer, or he is not paused.
        """
        return self._move(names, FarmerState.ACTIVE, why)

    def change(self, name: str, change: Change, *, email: str | None = None) -> tuple[Farmer, int | None]:
        """Give a farmer new terms from the next block on, another e-mail address, or both.

        Args:
            name: whose.
            change: what is to be new.
            email: where to write to him from now on; empty for nowhere, None to leave it.

        Returns:
            The farmer, and the block from which new terms hold; None where they stay as they were.

        Raises:
            UsageError: when there is no such farmer, he has left, or a value is out of range.
        """
        self._vault()
        with self._store.atomic(synced=True):
            farmer = self._farmers.get(name)
            if farmer.state is FarmerState.EXITED:
                raise UsageError(f"'{name}' has left the pool", hint="his terms are history")
            terms = change.on(farmer.terms)
            if farmer.custody is Custody.WATCHED and terms.payout is not None:
                raise UsageError(
                    "who keeps his own account needs no payout address", hint="his rewards are minted to him"
                )
            if email is not None and (email or None) != farmer.email:
                self._farmers.set_email(farmer.number, email or None)
                self._record(f"changed the e-mail address of '{name}'")
            if terms == farmer.terms:
                return self._farmers.get(name), None
            block = self._next_block(farmer)
            seal = self._seal(replace(farmer, terms=terms), block)
            self._farmers.set_terms(farmer.number, terms, from_block=block, seal=seal, who=self._who)
            self._record(f"agreed new terms with '{name}' from block {block}: {worded_terms(terms)}")
            return self._farmers.get(name), block

    def seal_holds(self, farmer: Farmer, agreed: SealedTerms) -> bool:
        """Tell whether terms of a farmer's are as they were agreed: whether their seal is the vault's."""
        return self._seal(replace(farmer, terms=agreed.terms), agreed.from_block) == agreed.seal

    # Inside

    def _farmer(
        self,
        applicant: Applicant,
        address: str,
        custody: Custody,
        *,
        state: FarmerState = FarmerState.CREATED,
        wallet_index: int | None = None,
    ) -> Farmer:
        terms = replace(
            self._defaults,
            stake=applicant.stake or self._defaults.stake,
            share_bps=self._defaults.share_bps if applicant.share_bps is None else applicant.share_bps,
            payout=applicant.payout,
        )
        return Farmer(0, applicant.name, address, custody, state, wallet_index, terms, applicant.email)

    def _refuse_taken(self, farmer: Farmer) -> None:
        for known in self._farmers.all():
            if farmer.name == known.name:
                raise UsageError(f"there is a farmer '{known.name}' already", hint="choose another name")
            if farmer.address == known.address:
                raise UsageError(f"{known.address} is '{known.name}' already", hint="nothing was imported")

    def _enter(self, farmers: Sequence[Farmer]) -> list[Farmer]:
        added = self._farmers.add(farmers, who=self._who, seal=lambda one: self._seal(one, 0))
        for farmer in added:
            self._record(
                f"added {farmer.custody} farmer '{farmer.name}', {farmer.address}: {worded_terms(farmer.terms)}"
            )
        return added

    def _move(self, names: Sequence[str], state: FarmerState, why: str) -> list[Farmer]:
        self._vault()
        verb = "paused" if state is FarmerState.PAUSED else "resumed"
        with self._store.atomic(synced=True):
            for name in dict.fromkeys(names):
                farmer = self._farmers.get(name)
                self._insist_on_pause(farmer, state)
                self._farmers.move(farmer.number, state, who=self._who, why=why)
                self._record(f"{verb} '{name}'{': ' + why if why else ''}")
            return [self._farmers.get(name) for name in dict.fromkeys(names)]

    @staticmethod
    def _insist_on_pause(farmer: Farmer, state: FarmerState) -> None:
        """An exit is called off by its own command, and a new account gets active by being funded."""
        needed = FarmerState.ACTIVE if state is FarmerState.PAUSED else FarmerState.PAUSED
        if farmer.state is not needed:
            hint = "only who is active is paused, and only who is paused resumed"
            if farmer.state in {FarmerState.CREATED, FarmerState.FUNDED}:
                hint = f"a new farmer gets active by: kalepool wallet fund {farmer.name}"
            raise UsageError(f"'{farmer.name}' is {farmer.state}", hint=hint)

    def _next_block(self, farmer: Farmer) -> int:
        """Give the first block that nothing is planted or agreed for: after what was seen, and after his pails."""
        view, block = self._views.last(), self._blocks.latest()
        seen = max(-1 if view is None else view.block, -1 if block is None else block.index)
        pails = self._pails.of_farmer(farmer.number, seen + 1, _LAST_BLOCK)
        highest = max(seen, *(pail.block for pail in pails), -1)
        return max(highest + 1, *(agreed.from_block for agreed in self._farmers.agreed(farmer.number)))


def worded_terms(terms: Terms) -> str:
    """Write terms as one line for the audit log."""
    stake = terms.stake
    staked = f"{stake.bps} bps" if stake.bps is not None else f"{stake.stroops} stroops"
    return (
        f"stake {staked}, harvest every {terms.harvest_every}, share {terms.share_bps} bps, "
        f"fee {terms.fee_bps} bps, payout {terms.payout or 'none'}, memo {terms.memo or 'none'}, "
        f"from {terms.payout_from} stroops, every {terms.payout_every_h} h, exit after {terms.exit_delay_h} h"
    )


async def check_receivers(chain: Chain, addresses: Sequence[str]) -> None:
    """Insist that accounts exist and can hold KALE; contracts need no trustline.

    Raises:
        RejectedError: when one cannot be paid.
        RetryableError: when the network cannot be asked.
    """
    accounts = [one for one in dict.fromkeys(addresses) if is_account(one)]
    states = await chain.accounts(accounts)
    for address in accounts:
        state = states.get(address)
        if state is None:
            raise RejectedError(
                f"there is no account {address} on the network", hint="create it first, or check the address"
            )
        if state.kale is None:
            raise RejectedError(
                f"{address} has no KALE trustline",
                hint="its owner adds one first: until then it cannot be paid",
            )
