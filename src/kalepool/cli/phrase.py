"""The recovery phrase on its way to its owner: once, to a terminal or to a new private file."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

from kalepool.errors import ConfigError, UsageError
from kalepool.private_files import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.secret import Secret

_COLUMNS = 4
_ASKED = 3
_TRIES = 3
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"
"""Clears the screen and what was scrolled off it."""


def hand_over(phrase: Secret, file: Path | None) -> None:
    """Give the phrase to its owner, and make sure that he has it.

    Args:
        phrase: 24 words.
        file: a new file to write it to, mode 0600; None to show it on the terminal.

    Raises:
        UsageError: when there is neither a file nor a terminal.
        ConfigError: when the file cannot be written, or the words were not repeated.
    """
    if file is not None:
        write_private(
            file, phrase.reveal_text().encode() + b"\n", instead_of=None, what="the recovery phrase"
        )
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "the recovery phrase has to be shown once, and there is no terminal to show it on",
            hint="give --recovery-phrase-file FILE: it is written there, mode 0600; move it to a safe place",
        )
    _show(phrase)
    _confirm(phrase)


def _show(phrase: Secret) -> None:
    words = phrase.reveal_text().split()
    rows = len(words) // _COLUMNS
    lines = [
        "".join(f"{place + 1:>4}. {words[place]:<10}" for place in range(row, len(words), rows))
        for row in range(rows)
    ]
    sys.stderr.write(
        "Your recovery phrase. Write it down on paper: it is shown this once, and it is the only way back to the\n"
        "wallets if this machine is lost. Whoever has it has all the money.\n\n"
        + "\n".join(line.rstrip() for line in lines)
        + "\n\nPress Enter when you have written it down. "
    )
    sys.stderr.flush()
    sys.stdin.readline()
    sys.stderr.write(_CLEAR)


def _confirm(phrase: Secret) -> None:
    words = phrase.reveal_text().split()
    asked = sorted(secrets.SystemRandom().sample(range(len(words)), _ASKED))
    for _ in range(_TRIES):
        answers = []
        for place in asked:
            sys.stderr.write(f"Word {place + 1}: ")
            sys.stderr.flush()
            answers.append(sys.stdin.readline().strip().lower())
        if answers == [words[place] for place in asked]:
            sys.stderr.write(_CLEAR)
            return
        sys.stderr.write("These are not the words. Look at your paper and try again.\n")
    raise ConfigError("the recovery phrase was not confirmed", hint="nothing was made; run it again")
