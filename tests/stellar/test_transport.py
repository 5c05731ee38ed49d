"""One request takes no more than its limits, whatever the other side does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from kalepool.adapters.stellar.transport import BusyError, Limits, Transport, check_url
from kalepool.errors import ConfigError, RetryableError
from support.virtual import loop_time, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

URL = "http://127.0.0.1/secret-key"
LIMITS = Limits(total_s=20.0, answer_bytes=1_000_000)


class Drip(httpx.AsyncByteStream):
    """An answer in parts, each after a while, without end.

    Args:
        part: what comes each time.
        pause_s: before each part.
    """

    def __init__(self, part: bytes, pause_s: float) -> None:
        self.part, self.pause_s, self.sent = part, pause_s, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(self.pause_s)
            self.sent += len(self.part)
            yield self.part


class Served(httpx.AsyncBaseTransport):
    def __init__(self, serve: Callable[[httpx.Request], httpx.Response]) -> None:
        self.serve = serve

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.serve(request)


async def post(serve: Callable[[httpx.Request], httpx.Response]) -> tuple[bytes, float]:
    """Post once; give the answer and the seconds that it took."""
    started = loop_time()
    async with Transport(LIMITS, Served(serve)) as transport:
        answer = await transport.post("a node", URL, b"{}")
    return answer, loop_time() - started


def failure(serve: Callable[[httpx.Request], httpx.Response]) -> RetryableError:
    with pytest.raises(RetryableError) as caught:
        run(post(serve))
    assert "a node" in caught.value.message
    assert "secret-key" not in caught.value.message
    return caught.value


def test_an_answer_comes_whole() -> None:
    answer, _ = run(
        post(lambda request: httpx.Response(200, stream=httpx.ByteStream(b"[" + request.method.encode())))
    )
    assert answer == b"[POST"


def test_an_endless_answer_is_cut_off_at_its_cap() -> None:
    drip = Drip(b"x" * 65_536, 0.0)
    assert "more than 1000000 bytes" in failure(lambda _: httpx.Response(200, stream=drip)).message
    assert drip.sent < 1_200_000


def test_a_slow_drip_is_cut_off_by_the_time_for_all_of_it() -> None:
    async def timed() -> float:
        started = loop_time()
        with pytest.raises(RetryableError, match="within 20 s"):
            await post(lambda _: httpx.Response(200, stream=Drip(b"x", 1.0)))
        return loop_time() - started

    assert run(timed()) == pytest.approx(20.0, abs=0.1)


def test_a_compressed_answer_is_not_unpacked() -> None:
    def serve(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Drip(b"x", 0.0))

    assert "compresses" in failure(serve).message


@pytest.mark.parametrize("status", [204, 301, 400, 404, 500, 502])
def test_any_other_status_than_200_is_a_failure(status: int) -> None:
    assert f"HTTP {status}" in failure(lambda _: httpx.Response(status)).message


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(429, "7", 7.0), (503, "7", 7.0), (429, None, None), (429, "soon", None), (429, "-3", None)],
)
def test_a_node_that_is_busy_says_how_long(status: int, header: str | None, seconds: float | None) -> None:
    headers = {} if header is None else {"Retry-After": header}
    error = failure(lambda _: httpx.Response(status, headers=headers))
    assert isinstance(error, BusyError)
    assert error.retry_after_s == seconds


def test_a_date_to_come_back_at_is_understood() -> None:
    past = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    error = failure(lambda _: httpx.Response(429, headers=past))
    assert isinstance(error, BusyError)
    assert error.retry_after_s == 0.0


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("secret-key"), httpx.ReadTimeout("secret-key"), ConnectionResetError()]
)
def test_a_broken_connection_is_a_failure(error: Exception) -> None:
    def serve(_request: httpx.Request) -> httpx.Response:
        raise error

    assert "did not answer" in failure(serve).message


@pytest.mark.parametrize("url", ["", "node", "ftp://host", "https://", "https://a b/\x00"])
def test_what_is_no_url_is_not_configured(url: str) -> None:
    with pytest.raises(ConfigError, match="URL is not one"):
        check_url(url)


def test_a_node_is_called_by_host_and_port_alone() -> None:
    assert check_url("https://user:word@example.org:8443/key/x?token=1") == "example.org:8443"
