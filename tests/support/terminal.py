"""A program at a terminal of its own, and somebody who answers what it asks."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


def converse(
    command: Sequence[str],
    answer: Callable[[str], str | None],
    *,
    folder: Path,
    environ: Mapping[str, str],
) -> tuple[int, str]:
    """Run a program on a terminal; give its exit code and all that was shown.

    Args:
        command: what to run.
        answer: is given what was shown since its last answer, and gives what to type, or None to read on.
        folder: where it runs.
        environ: its environment.
    """
    ours, theirs = pty.openpty()
    everything = fresh = ""
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, cwd=folder, env=environ
    ) as child:
        os.close(theirs)
        while True:
            try:
                more = os.read(ours, 4096).decode()
            except OSError:  # how a terminal says that everybody has left
                break
            everything, fresh = everything + more, fresh + more
            typed = answer(fresh)
            if typed is not None:
                fresh = ""
                os.write(ours, typed.encode())
        code = child.wait()
    os.close(ours)
    return code, everything
