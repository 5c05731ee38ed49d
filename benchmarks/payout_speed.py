"""How long it takes to settle and to pay a thousand farmers, on a local network at 20 times the clock's speed.

    PYTHONPATH=src:tests python benchmarks/payout_speed.py [FARMERS]

Targets: settling 1,000 farmers in under 2 s; paying them with at most 60 transactions in under 25 s.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from kalepool.adapters.store.opening import Home, create_store
from kalepool.bootstrap import Pool
from kalepool.config import load
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.records import PailRecord, PailState
from kalepool.devnet.devnet import Devnet
from kalepool.devnet.ledger import LedgerSettings
from kalepool.devnet.server import HOST, Server, listen
from kalepool.networks import NETWORKS
from support.devnet import KALE, XLM, keypair
from support.vault import MAIN, make, secret

SPEED = 20.0
CHANNELS = 8
_YEAR_S = 365 * 86_400
_REWARD = 3 * KALE


def main(count: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        listener = listen(0)
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        devnet = Devnet(LedgerSettings(genesis_time=int(time.time()) - _YEAR_S), base_url=url)
        pool = _pool(Path(folder), url)
        began = time.perf_counter()
        _populate(pool, devnet, count)
        print(f"{count} farmers made in {time.perf_counter() - began:.1f} s")
        server = Server(devnet, listener, speed=SPEED)
        thread = threading.Thread(target=lambda: asyncio.run(server.run()))
        thread.start()
        try:
            _measure(pool)
        finally:
            server.stop()
            thread.join()
            pool.close()


def _pool(folder: Path, url: str) -> Pool:
    local = NETWORKS["local"]
    make(folder / "kalepool.vault")
    create_store(folder / "kalepool.db", Home(local.passphrase, local.kale))
    return Pool(load(None, {}, folder, {"network.rpc": (url,)}), "payout", lambda: secret(MAIN))


def _populate(pool: Pool, devnet: Devnet, count: int) -> None:
    ledger = devnet.ledger
    ledger.create_account(pool.vault.operator, 10_000 * XLM)
    ledger.give_kale(pool.vault.operator, 0)
    for number in range(CHANNELS):
        ledger.create_account(pool.vault.channel(number), 2 * XLM)
    pool.channels.add([(number, pool.vault.channel(number)) for number in range(CHANNELS)])
    newcomers = []
    for index in range(count):
        wallet, payout = pool.vault.wallet(index), keypair(f"payout {index}").public_key
        for address, kale in ((wallet, _REWARD), (payout, 0)):
            ledger.create_account(address, 2 * XLM)
            ledger.give_kale(address, kale)
        terms = Terms(share_bps=9_000, fee_bps=500, payout=payout)
        name = f"farmer-{index + 1}"
        newcomers.append(Farmer(0, name, wallet, Custody.CUSTODIAL, FarmerState.ACTIVE, index, terms))
    farmers = pool.farmers.add(newcomers, who="benchmark", seal=pool.seal_terms)
    planted = [PailRecord(one.number, 7, PailState.PLANTED, KALE, 100) for one in farmers]
    worked = [replace(one, state=PailState.WORKED, gap=2, zeros=3) for one in planted]
    pool.pails.record([*planted, *worked])
    pool.pails.record([replace(one, state=PailState.HARVESTED, reward=_REWARD) for one in worked])


def _measure(pool: Pool) -> None:
    began = time.perf_counter()
    settled = pool.settling.settle()
    print(f"settled {settled.pails} pails in {time.perf_counter() - began:.2f} s")

    async def pay() -> None:
        async with pool.online():
            began = time.perf_counter()
            plan = await pool.paying.plan()
            planned = time.perf_counter() - began
            done = await pool.paying.pay(plan)
            took = time.perf_counter() - began
            print(
                f"paid {len(done.lines)} claims in {done.transactions} transactions in {took:.1f} s "
                f"(planned in {planned:.1f} s), {len(done.held)} held, {len(done.open)} open"
            )

    asyncio.run(pay())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
