"""Where a passphrase comes from: a file, systemd, the environment, a person. Never the argument list."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kalepool.errors import ConfigError
from kalepool.private_files import read_private
from kalepool.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIAL = "kalepool-passphrase"
VARIABLE = "KALEPOOL_PASSPHRASE"

_MAX_BYTES = 4096


def read_passphrase(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    prompt: str = "Passphrase: ",
    confirm: bool = False,
    credential: str = CREDENTIAL,
    variable: str = VARIABLE,
) -> Secret:
    """Give the passphrase from the first place that has one.

    In this order: ``file``; the systemd credential; the environment; a prompt on the terminal. One
    newline at the end of a file or credential does not belong to it.

    Args:
        file: what ``--passphrase-file`` names: mode 0600, or it is refused.
        environ: the environment; None for this process's.
        prompt: what a person is asked.
        confirm: whether a person has to type it twice: for a new passphrase.
        credential: name of the systemd credential.
        variable: name in the environment.

    Raises:
        ConfigError: when there is none, or a place has one that cannot be used.
    """
    environ = os.environ if environ is None else environ
    if file is not None:
        return _checked(_line(read_private(file, "the passphrase file")), str(file))
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and (path := Path(folder) / credential).exists():
        # systemd keeps the folder to the service's user; the file's own mode is its business.
        try:
            return _checked(_line(path.read_bytes()), str(path))
        except OSError as error:
            raise ConfigError(f"the credential {path} cannot be read: {error.strerror}") from error
    if variable in environ:
        return _checked(Secret.from_text(environ[variable]), f"{variable} in the environment")
    if sys.stdin.isatty() and sys.stderr.isatty():
        return _ask(prompt, confirm=confirm)
    raise ConfigError(
        "the vault's passphrase is needed, and there is no terminal to ask on",
        hint=f"give --passphrase-file FILE (mode 0600), the systemd credential {credential}, or {variable}",
    )


def read_secret_line(prompt: str) -> Secret:
    """Read one line of stdin that is a secret, such as a seed; a person types it unseen.

    Raises:
        ConfigError: when there is none, or the terminal would show it.
    """
    if sys.stdin.isatty():
        return _checked(_typed(prompt), "the terminal", "secret")
    return _checked(_line(sys.stdin.buffer.readline(_MAX_BYTES + 2)), "stdin", "secret")


def _line(data: bytes) -> Secret:
    return Secret(data.removesuffix(b"\n").removesuffix(b"\r"))


def _checked(passphrase: Secret, place: str, what: str = "passphrase") -> Secret:
    if len(passphrase) == 0:
        raise ConfigError(
            f"the {what} from {place} is empty", hint=f"put the {what} there, or take the place away"
        )
    if len(passphrase) > _MAX_BYTES:
        raise ConfigError(
            f"the {what} from {place} is longer than {_MAX_BYTES} bytes", hint="is it the right file?"
        )
    return passphrase


def _ask(prompt: str, *, confirm: bool) -> Secret:
    passphrase = _checked(_typed(prompt), "the terminal")
    if confirm and _typed("Once more: ") != passphrase:
        raise ConfigError("the two passphrases differ", hint="nothing has changed; run it again")
    return passphrase


def _typed(prompt: str) -> Secret:
    import getpass  # noqa: PLC0415 - most runs need no prompt
    import warnings  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # getpass would go on with the passphrase visible on the screen.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return Secret.from_text(getpass.getpass(prompt, stream=sys.stderr))
    except EOFError:
        raise ConfigError("no passphrase was typed", hint="run it again, or use --passphrase-file") from None
    except getpass.GetPassWarning:
        raise ConfigError(
            "this terminal would show the passphrase", hint="use another terminal, or --passphrase-file"
        ) from None
