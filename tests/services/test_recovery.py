"""From the phrase and the network alone: accounts, channels and open pails come back, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.opening import Home, create_store
from kalepool.core.farmers import FarmerState
from kalepool.core.postings import KALE, account
from kalepool.core.records import PailState
from kalepool.errors import ConfigError
from kalepool.networks import NETWORKS
from support.devnet import KALE as ONE_KALE
from support.devnet import XLM
from support.farmstead import Farmstead

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.services.recovery import Recovered


class Ruin(Farmstead):
    """A farm whose store is lost: an empty one is in its place."""

    def give(self, *indexes: int, kale: int | None = 5) -> None:
        """Let wallets exist."""
        with self.pool() as pool:
            for index in indexes:
                address = pool.vault.wallet(index)
                self.bench.ledger.create_account(address, 2 * XLM)
                if kale is not None:
                    self.bench.ledger.give_kale(address, kale * ONE_KALE)

    def recover(self, gap: int = 40) -> Recovered:
        async def connected() -> Recovered:
            with self.pool("wallet recover", options={"terms.stake": "7%"}) as pool:
                async with pool.online():
                    return await pool.recovery.recover(gap)

        return self.play(connected())


@pytest.fixture
def ruin(tmp_path: Path) -> Ruin:
    return Ruin(tmp_path)


def test_wallets_come_back_by_number_paused_with_the_configured_terms(ruin: Ruin) -> None:
    ruin.give(0, 1)
    found = ruin.recover()
    assert [(one.name, one.wallet_index, one.state) for one in found.farmers] == [
        ("recovered-1", 0, FarmerState.PAUSED),
        ("recovered-2", 1, FarmerState.PAUSED),
    ]
    assert {(one.terms.stake.bps, one.terms.payout) for one in found.farmers} == {(700, None)}
    assert found.operator is not None
    with ruin.pool() as pool:
        assert pool.books.balance(account(found.farmers[0].address), KALE) == 5 * ONE_KALE
        assert [row.what for row in pool.audit.rows()] == ["recovered 2 farmers from the recovery phrase"]
        (agreed,) = pool.farmers.agreed(found.farmers[0].number)
        assert pool.onboarding.seal_holds(found.farmers[0], agreed)


def test_merged_wallets_do_not_end_the_search_and_their_numbers_are_not_given_again(ruin: Ruin) -> None:
    ruin.give(3, 41, 450)
    assert [one.wallet_index for one in ruin.recover(gap=500).farmers] == [3, 41, 450]
    with ruin.pool() as pool:
        assert pool.farmers.next_wallet_index() == 451


def test_the_search_ends_after_a_gap(ruin: Ruin) -> None:
    ruin.give(2)
    assert ruin.recover().searched < 1_000


def test_an_account_without_a_trustline_is_left_to_be_funded(ruin: Ruin) -> None:
    ruin.give(0, kale=None)
    assert ruin.recover().farmers[0].state is FarmerState.CREATED


def test_channels_that_exist_become_known(ruin: Ruin) -> None:
    for number in (0, 2, 63):
        ruin.bench.ledger.create_account(ruin.vault.channel(number), XLM)
    assert ruin.recover().channels == 3
    with ruin.pool() as pool:
        assert [number for number, _ in pool.channels.known()] == [0, 2, 63]


def test_open_pails_are_found_on_the_chain(tmp_path: Path) -> None:
    ruin = Ruin(tmp_path)
    farmer = ruin.bench.account("neighbour", kale=50)
    ruin.bench.open_block(farmer)
    with ruin.pool() as pool:
        (mine,) = ruin.add_farmers(pool, 1)

    async def plant() -> None:
        with ruin.pool() as pool:
            async with pool.online():
                index = ruin.bench.farm.index
                build = await pool.composer.plant(
                    mine.address, block=index, stake=7, opens=False, max_time=int(pool.clock.now()) + 60
                )
                state = (await pool.chain.accounts([mine.address]))[mine.address]
                await pool.broadcaster.send([build(state.sequence + 1).envelope])
                await pool.clock.sleep_until(pool.clock.now() + 12)

    ruin.play(plant())
    (tmp_path / "kalepool.db").unlink()
    local = NETWORKS["local"]
    create_store(tmp_path / "kalepool.db", Home(local.passphrase, local.kale))
    found = ruin.recover()
    assert found.pails == 1
    with ruin.pool() as pool:
        (pail,) = pool.pails.alive()
        assert (pail.farmer, pail.block, pail.state, pail.stake) == (
            found.farmers[0].number,
            ruin.bench.farm.index,
            PailState.PLANTED,
            7,
        )
        latest = pool.blocks.latest()
        assert latest is not None
        assert latest.index == ruin.bench.farm.index


def test_a_store_with_farmers_is_left_alone(ruin: Ruin) -> None:
    ruin.give(0)
    ruin.recover()
    with pytest.raises(ConfigError, match="has farmers already"):
        ruin.recover()
