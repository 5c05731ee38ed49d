"""Fuzzes what comes from outside, guided by coverage: ``python tests/fuzz/outside.py TARGET [libFuzzer options]``.

``make fuzz`` runs each target for a while. A finding is an exception that is none of ours, a hang or memory
without bound; libFuzzer then writes the input to a file, and the same command with that file replays it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import atheris

with atheris.instrument_imports(include=["kalepool"]):
    from stellar_sdk import xdr

    from kalepool.adapters.stellar import batches
    from kalepool.adapters.vault import check_phrase, parse_seed
    from kalepool.config import FILE_NAME, load
    from kalepool.core.roster import parse_csv
    from kalepool.errors import ConfigError, RejectedError, RetryableError, UsageError
    from kalepool.secret import Secret
    from kalepool.xdr.decode import decode
    from kalepool.xdr.farm import block_from_scval, instance_from_scval, pail_from_scval
    from stellar.test_lies import RECORDED

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(tempfile.mkdtemp(prefix="kalepool-fuzz-"))
QUESTIONS = list(RECORDED.questions)
CALLS = [batches.Call("getHealth", {}), batches.Call("getFeeStats", {})]


def configuration(data: bytes) -> None:
    """Load it as kalepool.toml."""
    (FOLDER / FILE_NAME).write_bytes(data)
    with contextlib.suppress(ConfigError):
        load(None, {}, FOLDER)


def csv(data: bytes) -> None:
    """Read it as a file of farmers."""
    with contextlib.suppress(UsageError):
        parse_csv(data)


def words(data: bytes) -> None:
    """Take it for a recovery phrase, and for a seed."""
    for check in (check_phrase, parse_seed):
        with contextlib.suppress(UsageError, ConfigError):
            check(Secret(data))


def values(data: bytes) -> None:
    """Decode it as a value of the contract's."""
    with contextlib.suppress(ValueError):
        value = decode(xdr.SCVal, data)
        for read in (block_from_scval, instance_from_scval, pail_from_scval):
            with contextlib.suppress(ValueError):
                read(value)


def bodies(data: bytes) -> None:
    """Take it for a node's answer to a batch."""
    with contextlib.suppress(RetryableError):
        batches.take_apart(data, CALLS, 1, "a node")


def answers(data: bytes) -> None:
    """Put it in the place of a part of a real answer, and ask again."""
    provider = atheris.FuzzedDataProvider(data)
    name = QUESTIONS[provider.ConsumeIntInRange(0, len(QUESTIONS) - 1)]
    recorded = json.dumps(RECORDED.bodies[name])
    start = provider.ConsumeIntInRange(0, len(recorded))
    end = min(start + provider.ConsumeIntInRange(0, 64), len(recorded))
    changed = recorded[:start] + provider.ConsumeUnicodeNoSurrogates(64) + recorded[end:]
    try:
        parsed: Any = json.loads(changed)
        mutated = [(str(method), result) for method, result in parsed]
    except (ValueError, TypeError, RecursionError):
        return
    with contextlib.suppress(RetryableError, RejectedError):
        RECORDED.ask(name, mutated)


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (configuration, csv, words, values, bodies, answers)
}

if __name__ == "__main__":
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()
