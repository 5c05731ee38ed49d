"""Every error the program raises on purpose, by what the caller must do about it.

KalepoolError
 +-- UsageError        the words of the command are wrong: say them again
 +-- ConfigError       configuration, vault or store stand in the way: mend them
 +-- RetryableError    the network did not answer: the same call may work later
 +-- RejectedError     the chain, or missing funds, said no: do not repeat as it is
 +-- PartialError      some of it was done; the rest is listed
 +-- LockedError       another kalepool is doing this now
 +-- UnresolvedError   the outcome of a payment is unknown: a person must look
 +-- InternalError     a check of our own failed: a bug, or broken hardware

An error that means a malformed value is a ValueError too, so that library callers
may catch it as one.
"""

from __future__ import annotations


class KalepoolError(Exception):
    """Base of all deliberate errors.

    Args:
        message: one line that says what happened.
        hint: one line that says what to do about it; may be empty.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KalepoolError, ValueError):
    """A value given by the caller is malformed or out of range."""

    code = "usage"


class ConfigError(KalepoolError):
    """Configuration, vault or store cannot be used as they are."""

    code = "config"


class RetryableError(KalepoolError):
    """The network is unavailable or busy; nothing is known to be wrong with the request."""

    code = "network"


class RejectedError(KalepoolError):
    """The chain refused, or funds are missing; repeating the same thing would fail again."""

    code = "rejected"


class PartialError(KalepoolError):
    """Part of the work was done and part failed."""

    code = "partial"


class LockedError(KalepoolError):
    """Another process holds the lock that this work needs."""

    code = "locked"


class UnresolvedError(KalepoolError):
    """A payment's outcome is unknown, or books and chain differ."""

    code = "unresolved"


class InternalError(KalepoolError):
    """One of the program's own checks failed; results cannot be trusted until it is understood."""

    code = "internal"
