"""A devnet in a process of its own, so that what a benchmark measures here is the pool alone.

The pool's time stays virtual: the devnet does nothing but what it is told over a pipe, and whoever tells it
stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import selectors
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from types import TracebackType


class FarLedger:
    """What a farmstead wants of a devnet's ledger, over a pipe."""

    def __init__(self, ask: FarBench) -> None:
        self._ask = ask

    def create_account(self, address: str, stroops: int) -> None:
        """Create an account."""
        self._ask("create_account", address, stroops)

    def give_kale(self, address: str, stroops: int) -> None:
        """Give an account a trustline and KALE."""
        self._ask("give_kale", address, stroops)


class FarBench(httpx.AsyncBaseTransport):
    """A devnet in another process: a bench to work on, and the transport that carries requests to it.

    Args:
        neighbours: other farmers on its farm.
    """

    def __init__(self, neighbours: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, neighbours), daemon=True)
        self._process.start()
        there.close()
        self.ledger = FarLedger(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join()

    def __call__(self, what: str, *arguments: object) -> Any:
        """Let it do something; give what came of it."""
        self._pipe.send((what, arguments))
        return self._pipe.recv()

    def close(self, ledgers: int = 1) -> None:
        """Close ledgers."""
        self("close", ledgers)

    @property
    def index(self) -> int:
        """FarmIndex."""
        found: int = self("index")
        return found

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request there and its answer back."""
        status, body = self("post", request.url.path, request.content)
        return httpx.Response(status, stream=httpx.ByteStream(body))


class HurryingLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to whatever is waited for next, at once: it costs no more than a real one."""

    def __init__(self) -> None:
        selector = selectors.SelectSelector()
        super().__init__(selector)
        self._virtual_s = 1_000.0
        select = selector.select

        def hurry(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            self._virtual_s += timeout or 0.0
            return select(None if timeout is None else 0)

        selector.select = hurry  # type: ignore[method-assign]

    def time(self) -> float:
        """Give virtual seconds."""
        return self._virtual_s


def _serve(pipe: Connection, neighbours: int) -> None:
    from kalepool.devnet.app import Application  # noqa: PLC0415 - the pool's process is to have none of it
    from kalepool.devnet.neighbours import Neighbours  # noqa: PLC0415
    from support.devnet import Bench  # noqa: PLC0415

    bench = Bench()
    Neighbours(bench.ledger, neighbours)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(Application(bench.devnet)))

    async def post(path: str, body: bytes) -> tuple[int, bytes]:
        answer = await client.post(f"http://127.0.0.1{path}", content=body)
        return answer.status_code, answer.content

    with asyncio.Runner() as runner:
        able: dict[str, Callable[..., object]] = {
            "create_account": bench.ledger.create_account,
            "give_kale": bench.ledger.give_kale,
            "close": bench.close,
            "index": lambda: bench.ledger.farm.index,
            "post": lambda path, body: runner.run(post(path, body)),
        }
        while True:
            try:
                what, arguments = pipe.recv()
            except EOFError:
                return
            pipe.send(able[what](*arguments))
