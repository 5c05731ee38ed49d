"""From 24 words to every key: BIP-39, SLIP-0010 for ed25519, SEP-0005 paths.

Sources: BIP-0039 (words, checksum, PBKDF2), SLIP-0010 (master and hardened child keys of ed25519),
SEP-0005 (``m/44'/148'/account'``). The accounts:

==================  =====================================================================
account             what for
==================  =====================================================================
0                   the operator: what any wallet shows first for these words
1 to 64             channels 0 to 63
65 to 999           free
1000 and up         farmers' wallets: wallet ``index`` is account ``1000 + index``
==================  =====================================================================

Two more keys come from the same words, so that words and a backup of the store restore everything:
HMAC-SHA256 of a label under the BIP-39 seed. No account's key can be had from them, or they from it.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache

from mnemonic import Mnemonic

from kalepool.adapters.vault.seed import Seed
from kalepool.errors import UsageError
from kalepool.secret import Secret

WORDS = 24
ENTROPY_BYTES = 32
CHANNELS = 64
OPERATOR_ACCOUNT = 0
FIRST_CHANNEL_ACCOUNT = 1
FIRST_WALLET_ACCOUNT = 1_000
WALLETS = 2**31 - FIRST_WALLET_ACCOUNT
"""Wallets that there can be: accounts are hardened, and so end at 2**31."""

SEAL_LABEL = b"kalepool terms v1"
AUDIT_LABEL = b"kalepool audit v1"

_HARDENED = 2**31
_PURPOSE, _STELLAR = 44, 148


def entropy_of(phrase: Secret) -> Secret:
    """Give the 32 bytes behind a recovery phrase. Case and space between words do not matter.

    Raises:
        UsageError: when it has not 24 words, a word is not in the list, or the checksum is wrong; a word
            is named by its place alone.
    """
    check_phrase(phrase)
    return Secret(_language().to_entropy(_words(phrase)))


def check_phrase(phrase: Secret) -> None:
    """Insist that these are the words of a recovery phrase, in order.

    Raises:
        UsageError: as for ``entropy_of``.
    """
    # No word is local here, lest a traceback that shows variables shows it.
    fault = _fault(_words(phrase))
    if fault:
        raise UsageError(
            fault, hint=f"write all {WORDS} words in order; they are from the English list of BIP-39"
        )


def phrase_of(entropy: Secret) -> Secret:
    """Give the 24 words of 32 bytes, one space between."""
    return Secret.from_text(_language().to_mnemonic(entropy.reveal()))


def root_of(phrase: Secret) -> Secret:
    """Give the BIP-39 seed of a phrase, 64 bytes, without an extra password."""
    return Secret(Mnemonic.to_seed(phrase.reveal_text()))


def stellar_node(root: Secret) -> Secret:
    """Give the node ``m/44'/148'`` of a BIP-39 seed: 32 bytes of key, 32 of chain code."""
    node = Secret(hmac.digest(b"ed25519 seed", root.reveal(), "sha512"))
    for index in (_PURPOSE, _STELLAR):
        node = _child(node, index)
    return node


def account_seed(node: Secret, account: int) -> Seed:
    """Give the seed of an account, ``m/44'/148'/account'``.

    Args:
        node: ``m/44'/148'``.
        account: from 0 to 2**31 - 1.
    """
    return Seed(_child(node, account).reveal()[:32])


def labelled_key(root: Secret, label: bytes) -> Secret:
    """Give a key of 32 bytes for another purpose than an account."""
    return Secret(hmac.digest(root.reveal(), label, hashlib.sha256))


def channel_account(number: int) -> int:
    """Give the account of a channel.

    Raises:
        UsageError: when there is no such channel.
    """
    if not 0 <= number < CHANNELS:
        raise UsageError(f"there is no channel {number}", hint=f"channels are 0 to {CHANNELS - 1}")
    return FIRST_CHANNEL_ACCOUNT + number


def wallet_account(index: int) -> int:
    """Give the account of a farmer's wallet.

    Raises:
        UsageError: when there can be no such wallet.
    """
    if not 0 <= index < WALLETS:
        raise UsageError(f"there is no wallet {index}", hint=f"wallets are 0 to {WALLETS - 1}")
    return FIRST_WALLET_ACCOUNT + index


def _child(node: Secret, index: int) -> Secret:
    # SLIP-0010: ed25519 has hardened children alone.
    both = node.reveal()
    return Secret(hmac.digest(both[32:], b"\0" + both[:32] + (_HARDENED + index).to_bytes(4), "sha512"))


@cache
def _language() -> Mnemonic:
    return Mnemonic("english")


def _words(phrase: Secret) -> list[str]:
    return phrase.reveal_text().lower().split()


def _fault(words: list[str]) -> str:
    if len(words) != WORDS:
        return f"a recovery phrase has {WORDS} words, not {len(words)}"
    known = set(_language().wordlist)
    for place, word in enumerate(words, 1):
        if word not in known:
            return f"word {place} of the recovery phrase is not in the list"
    if not _language().check(" ".join(words)):
        return "the checksum of the recovery phrase is wrong: a word is wrong, or two have changed places"
    return ""
