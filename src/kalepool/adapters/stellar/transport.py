"""One HTTP request to one node, held to limits of time and size."""

from __future__ import annotations

import asyncio
import email.utils
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import httpx

from kalepool.errors import ConfigError, RetryableError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_OK: Final = 200
_TOO_MANY_REQUESTS: Final = 429
_UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take.

    Attributes:
        connect_s: seconds until the connection stands.
        read_s: seconds between two parts of the answer.
        total_s: seconds for all of it, however steadily it drips.
        answer_bytes: size of the answer.
    """

    connect_s: float = 5.0
    read_s: float = 10.0
    total_s: float = 20.0
    answer_bytes: int = 16 * 1024 * 1024


class BusyError(RetryableError):
    """The node asks for a rest: HTTP 429, or 503 with Retry-After.

    Args:
        message: what happened.
        retry_after_s: how long a rest it asks for; None where it does not say.
    """

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message, hint="wait, or configure more nodes")
        self.retry_after_s = retry_after_s


class SilentError(RetryableError):
    """The node did not answer at all: perhaps there is none.

    Args:
        message: what happened.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="check the connection, or configure another node")


class Transport:
    """Posts bodies and gives answers, from an HTTP client that is reused.

    Args:
        limits: of every request.
        transport: what carries the requests; sockets where it is None.
    """

    def __init__(
        self, limits: Limits | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._limits = limits or Limits()
        timeout = httpx.Timeout(self._limits.read_s, connect=self._limits.connect_s)
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=timeout,
            # A small compressed answer could unpack to gigabytes before its size is seen.
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
        )

    async def post(self, name: str, url: str, body: bytes) -> bytes:
        """Post one body; give the answer's.

        Args:
            name: what errors call the node; its URL may hold a key.
            url: where it is.
            body: JSON.

        Raises:
            BusyError: when the node asks for a rest.
            RetryableError: when no good answer came within the limits. The request may have been
                carried out all the same.
        """
        try:
            async with (
                asyncio.timeout(self._limits.total_s),
                self._client.stream("POST", url, content=body) as response,
            ):
                _check_head(name, response)
                return await self._read(name, response)
        except TimeoutError:
            raise _silent(name, f"within {self._limits.total_s:g} s") from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise _silent(name, f"({type(error).__name__})") from None

    async def _read(self, name: str, response: httpx.Response) -> bytes:
        parts, size = [], 0
        async for part in response.aiter_raw():
            size += len(part)
            if size > self._limits.answer_bytes:
                raise RetryableError(
                    f"the node {name} answers more than {self._limits.answer_bytes} bytes",
                    hint="configure another node",
                )
            parts.append(part)
        return b"".join(parts)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def check_url(url: str) -> str:
    """Insist on a URL that can be posted to; give the host and port by which the node is called.

    Raises:
        ConfigError: when it is none.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        # Not shown: a provider's URL may hold a key.
        raise ConfigError("a node's URL is not one", hint="write it like https://mainnet.sorobanrpc.com")
    return parsed.netloc.decode("ascii")


def _check_head(name: str, response: httpx.Response) -> None:
    status = response.status_code
    retry_after = _retry_after(response.headers.get("Retry-After", ""))
    if status == _TOO_MANY_REQUESTS or (status == _UNAVAILABLE and retry_after is not None):
        raise BusyError(f"the node {name} is asked too often (HTTP {status})", retry_after)
    if status != _OK:
        raise RetryableError(
            f"the node {name} answers HTTP {status}", hint="try again, or configure another node"
        )
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise RetryableError(f"the node {name} compresses its answer unasked", hint="configure another node")


def _retry_after(value: str) -> float | None:
    """Read a Retry-After header: seconds, or a date. None where it is neither."""
    if value.isascii() and value.isdigit():
        return float(min(int(value[:9]), 10**9))
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _silent(name: str, how: str) -> SilentError:
    return SilentError(f"the node {name} did not answer {how}")
