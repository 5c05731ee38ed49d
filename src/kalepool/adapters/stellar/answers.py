"""Taking a node's JSON apart: what is missing, of another type or out of range is the node's fault.

Every such fault is one RetryableError that names the node and the method, so that the client can
rest the node and ask another one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kalepool.errors import RetryableError
from kalepool.xdr.decode import decode_base64

if TYPE_CHECKING:
    from collections.abc import Iterator

_T = TypeVar("_T")

MAX_U32: Final = 2**32 - 1
MAX_I64: Final = 2**63 - 1
_SHOWN_CHARS = 120


class Answer:
    """The result of one call.

    Args:
        value: parsed JSON.
        node: who answered.
        method: what was asked.
        path: where in the result this object stands.
    """

    __slots__ = ("_value", "method", "node", "path")

    def __init__(self, value: object, node: str, method: str, path: str = "result") -> None:
        self.node = node
        self.method = method
        self.path = path
        if not isinstance(value, dict):
            raise self.wrong("is no object")
        self._value: dict[str, Any] = value

    def wrong(self, what: str) -> RetryableError:
        """Make the error that says what is wrong with the answer."""
        return RetryableError(
            f"the node {self.node} answers {self.method} with nonsense: {self.path} {printable(what)}",
            hint="try again, or configure another node",
        )

    def has(self, name: str) -> bool:
        """Tell whether a field is there and not null."""
        return self._value.get(name) is not None

    def text(self, name: str) -> str:
        """Take a string."""
        value = self._value.get(name)
        if not isinstance(value, str):
            raise self.wrong(f"has no text {name}")
        return value

    def number(self, name: str, most: int = MAX_U32) -> int:
        """Take a whole number from 0, given as a number or, as nodes write 64 bits, in a string."""
        value = self._value.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(most)):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self.wrong(f"has no whole number {name} up to {most}")
        return value

    def flag(self, name: str, *, missing: bool) -> bool:
        """Take a truth value, or a given one where the field is not there."""
        value = self._value.get(name, missing)
        if not isinstance(value, bool):
            raise self.wrong(f"has no truth value {name}")
        return value

    def section(self, name: str) -> Answer:
        """Take an object."""
        return Answer(self._value.get(name), self.node, self.method, f"{self.path}.{name}")

    def sections(self, name: str) -> list[Answer]:
        """Take an array of objects."""
        path = f"{self.path}.{name}"
        return [
            Answer(item, self.node, self.method, f"{path}[{position}]")
            for position, item in enumerate(self._items(name))
        ]

    def texts(self, name: str) -> list[str]:
        """Take an array of strings, empty where it is missing."""
        items = self._items(name) if self.has(name) else []
        if not all(isinstance(item, str) for item in items):
            raise self.wrong(f"has something else than text in {name}")
        return items

    def xdr(self, kind: type[_T], name: str) -> _T:
        """Take an XDR value in base64."""
        text = self.text(name)
        with self.reading(name):
            return decode_base64(kind, text)  # type: ignore[type-var]

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Blame the node for whatever value cannot be read inside."""
        try:
            yield
        except ValueError as error:
            raise self.wrong(f"has a {name} that cannot be read: {error}") from None

    def _items(self, name: str) -> list[Any]:
        value = self._value.get(name)
        if not isinstance(value, list):
            raise self.wrong(f"has no array {name}")
        return value


def printable(text: str) -> str:
    """Give foreign text as one short line without control characters, fit for a terminal."""
    clean = "".join(char if char.isprintable() else " " for char in text[: 2 * _SHOWN_CHARS])
    return clean if len(clean) <= _SHOWN_CHARS else clean[:_SHOWN_CHARS] + "..."
