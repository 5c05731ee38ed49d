"""How fast the local network is: requests a second, ledgers a second, memory; target beside figure.

    python benchmarks/devnet_speed.py

All but the two figures over a socket run in this process on one core: what they measure is the
network and its RPC, not HTTP. For those two a server of its own process, hence one core, answers a
client that keeps four connections. Each figure is the median of several windows, with the best beside it, because
other work on the machine only ever slows.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from typing import TYPE_CHECKING

import httpx

from kalepool.devnet.ledger import Ledger, LedgerSettings
from kalepool.devnet.neighbours import Neighbours
from kalepool.devnet.server import HOST, Server, listen
from kalepool.xdr.keys import account_key, pail_key
from support.devnet import KALE, Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

WINDOWS = 7
CONNECTIONS = 4


def main() -> None:
    """Run all of it and print the table."""
    print(f"{'measured':<52}{'target':>12}{'median':>12}{'best':>12}")
    row("sendTransaction, plants, a second", ">= 200", sends())
    row("getLedgerEntries of 20 keys, a second", ">= 500", reads())
    socket_sends, socket_reads = over_a_socket()
    row("sendTransaction over a socket, a second", ">= 200", socket_sends)
    row("getLedgerEntries over a socket, a second", ">= 500", socket_reads)
    row("closing a ledger with 150 plants, ms", "< 80", closings(), best=min)
    row("2,000 ledgers with 30 neighbours, s", "< 10", neighbour_runs(), best=min)
    memory()


def row(name: str, target: str, figures: list[float], best: Callable[[list[float]], float] = max) -> None:
    """Print one line of the table."""
    print(f"{name:<52}{target:>12}{statistics.median(figures):>12,.1f}{best(figures):>12,.1f}", flush=True)


def request(method: str, **params: object) -> bytes:
    """Build a JSON-RPC body."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def planting_bench(plants: int) -> tuple[Bench, list[bytes]]:
    """Give a devnet and the requests that send so many fee-bumped plants to it."""
    bench = Bench()
    pool = bench.account("pool", xlm=100_000)
    farmers = [bench.account(f"farmer {number}", kale=100) for number in range(plants)]
    envelopes = [bench.bump(bench.plant(farmer, KALE), pool) for farmer in farmers]
    return bench, [request("sendTransaction", transaction=envelope.to_xdr()) for envelope in envelopes]


def sends() -> list[float]:
    """Measure sendTransaction: decode, hash, verify two signatures, check, queue."""
    rates = []
    for _ in range(WINDOWS):
        bench, requests = planting_bench(100)
        handle = bench.devnet.rpcs["main"].handle
        started = time.perf_counter()
        answers = [handle(body) for body in requests]
        rates.append(len(requests) / (time.perf_counter() - started))
        assert all(answer is not None and b"PENDING" in answer for answer in answers)
    return rates


def reads() -> list[float]:
    """Measure getLedgerEntries: the keys change between requests, and the entries between ledgers."""
    bench, requests = planting_bench(150)
    for body in requests:
        bench.devnet.rpcs["main"].handle(body)
    bench.close(2)
    farmers = [bench.account(f"farmer {number}").public_key for number in range(150)]
    keys = [_base64(pail_key(bench.kale, farmer, 0)) for farmer in farmers]
    bodies = [request("getLedgerEntries", keys=(keys[at:] + keys)[:20]) for at in range(150)]
    handle = bench.devnet.rpcs["main"].handle
    rates = []
    for _ in range(WINDOWS):
        for farmer in farmers:  # new entries: nothing is encoded yet
            pail = bench.pail(farmer, 0)
            bench.ledger.put_now(pail_key(bench.kale, farmer, 0), pail)
        started = time.perf_counter()
        answers = [handle(body) for body in bodies * 2]
        rates.append(len(answers) / (time.perf_counter() - started))
        assert all(answer is not None and answer.count(b'"xdr"') == 20 for answer in answers)
    return rates


def over_a_socket() -> tuple[list[float], list[float]]:
    """Measure what a client in another process gets: sends and reads, a second."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there,), daemon=True)
    server.start()
    address, sends, reads = here.recv()
    clients = [httpx.Client(base_url=address) for _ in range(CONNECTIONS)]
    windows = [sends[at : at + len(sends) // WINDOWS] for at in range(0, len(sends), len(sends) // WINDOWS)]
    try:
        sent = [rate(clients, window, b"PENDING") for window in windows]
        return sent, [rate(clients, reads, b'"xdr"') for _ in range(WINDOWS)]
    finally:
        server.kill()
        for client in clients:
            client.close()


def rate(clients: list[httpx.Client], bodies: list[bytes], holding: bytes) -> float:
    """Post the bodies over all connections; give how many are answered in a second."""

    def post(number: int) -> None:
        for body in bodies[number :: len(clients)]:
            assert holding in clients[number].post("/", content=body).content

    started = time.perf_counter()
    with ThreadPoolExecutor(len(clients)) as threads:
        list(threads.map(post, range(len(clients))))
    return len(bodies) / (time.perf_counter() - started)


def serve(pipe: Connection) -> None:
    """Serve a devnet whose ledgers stand still; send its address and the requests to put to it."""
    bench, sends = planting_bench(50 * WINDOWS)
    listener = listen(0)
    farmers = [bench.account(f"farmer {number}").public_key for number in range(150)]
    keys = [_base64(account_key(farmer)) for farmer in farmers]
    reads = [request("getLedgerEntries", keys=(keys[at:] + keys)[:20]) for at in range(150)]
    pipe.send((f"http://{HOST}:{listener.getsockname()[1]}", sends, reads))
    asyncio.run(Server(bench.devnet, listener, speed=0.001).run())


def closings() -> list[float]:
    """Measure closing a ledger of 150 plants, in milliseconds."""
    times = []
    for _ in range(WINDOWS):
        bench, requests = planting_bench(150)
        for body in requests:
            bench.devnet.rpcs["main"].handle(body)
        gc.collect()
        started = time.perf_counter()
        bench.close()
        times.append(1_000 * (time.perf_counter() - started))
        assert sum(applied.result.is_success for applied in bench.ledger.latest.transactions) == 150
    return times


def neighbour_runs() -> list[float]:
    """Measure 2,000 ledgers of 30 neighbours, in seconds."""
    times = []
    for _ in range(3):
        ledger = Ledger()
        Neighbours(ledger, 30)
        started = time.perf_counter()
        for _ in range(2_000):
            ledger.close()
        times.append(time.perf_counter() - started)
    return times


def memory() -> None:
    """Print resident memory along 20,000 ledgers of 30 neighbours."""
    ledger = Ledger(LedgerSettings())
    Neighbours(ledger, 30)
    page = resource.getpagesize()
    sizes = {}
    for closed in range(1, 20_001):
        ledger.close()
        if closed % 4_000 == 0:
            gc.collect()
            resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * page
            sizes[closed] = resident / 2**20
    print(
        "resident memory, MiB, after ledgers: "
        + ", ".join(f"{at:,}: {size:.0f}" for at, size in sizes.items())
    )


def _base64(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


if __name__ == "__main__":
    main()
