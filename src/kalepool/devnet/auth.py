"""Authorization: which address has agreed to which calls, checked or recorded.

An authorization is a tree of calls. A contract that requires an address's consent finds it
in the node that matches the running call, below the node that matched its caller.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from stellar_sdk import scval, xdr

from kalepool.core.address import is_account, raw_key
from kalepool.devnet.entries import Account, UsedNonce
from kalepool.devnet.host import MAX_TTL, ErrorCode, ErrorType, HostError
from kalepool.devnet.transactions import Authorization, Invocation, verify_ed25519
from kalepool.xdr.keys import account_key, nonce_key, sc_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.devnet.host import Frame, Host


_SIGNATURE_INSTRUCTIONS = 400_000


class Authorizer(Protocol):
    """Answers for the addresses in one execution."""

    def require(self, host: Host, address: str) -> None:
        """Insist that the address has agreed to the running call."""

    def leave(self, depth: int) -> None:
        """Note that the call at this depth has ended."""


def _called_by(host: Host, address: str) -> bool:
    # A contract agrees to what it calls itself.
    return len(host.frames) > 1 and host.frames[-2].contract == address


def _refused(message: str, code: ErrorCode = ErrorCode.SCEC_INVALID_ACTION) -> HostError:
    return HostError(ErrorType.SCE_AUTH, code, message)


@dataclass
class _Tracker:
    """Follows one authorization tree along the calls."""

    entry: Authorization
    address: str
    used: bool = False
    matched: list[tuple[int, Invocation, set[int]]] = field(default_factory=list)

    def match(self, depth: int, frame: Frame) -> bool:
        """Use up the node that stands for this call; tell whether there was one."""
        if self.matched:
            _, node, taken = self.matched[-1]
            for position, child in enumerate(node.children):
                if position not in taken and _is_call(child, frame):
                    taken.add(position)
                    self.matched.append((depth, child, set()))
                    return True
            return False
        if self.used or not _is_call(self.entry.root, frame):
            return False
        self.used = True
        self.matched.append((depth, self.entry.root, set()))
        return True


def _is_call(node: Invocation, frame: Frame) -> bool:
    return (node.contract, node.function, node.arguments) == (frame.contract, frame.function, frame.arguments)


class EnforcingAuthorizer:
    """Holds a transaction to the authorizations that came with it.

    Args:
        authorizations: the operation's entries.
        source: the operation's source account, whose signature the transaction carries.
    """

    def __init__(self, authorizations: Sequence[Authorization], source: str) -> None:
        self._trackers = [_Tracker(entry, entry.address or source) for entry in authorizations]

    def require(self, host: Host, address: str) -> None:
        """Find the consent, and check its signature when it is first used."""
        if _called_by(host, address):
            return
        depth = len(host.frames) - 1
        for tracker in self._trackers:
            fresh = not tracker.used
            if tracker.address == address and tracker.match(depth, host.frames[-1]):
                if fresh and tracker.entry.address is not None:
                    _check_signature(host, tracker.entry)
                return
        raise _refused(f"unauthorized function call for address {address}")

    def leave(self, depth: int) -> None:
        """Forget what matched in the call that ended."""
        for tracker in self._trackers:
            while tracker.matched and tracker.matched[-1][0] >= depth:
                tracker.matched.pop()


@dataclass
class _RecordedNode:
    frame: Frame
    children: list[_RecordedNode] = field(default_factory=list)


@dataclass
class _RecordedTree:
    address: str
    root: _RecordedNode
    nonce: int
    path: list[tuple[int, _RecordedNode]] = field(default_factory=list)


class RecordingAuthorizer:
    """Notes in a simulation who would have to agree to what.

    Args:
        source: the operation's source account.
        allow_nonroot: accept that consent is needed below the root call alone.
        upgraded: record ADDRESS_V2 credentials (CAP-0071) rather than ADDRESS.
    """

    def __init__(self, source: str, *, allow_nonroot: bool, upgraded: bool) -> None:
        self._source = source
        self._allow_nonroot = allow_nonroot
        self._upgraded = upgraded
        self._trees: list[_RecordedTree] = []

    def require(self, host: Host, address: str) -> None:
        """Note the consent that a real run would need."""
        if _called_by(host, address):
            return
        depth = len(host.frames) - 1
        node = _RecordedNode(host.frames[-1])
        for tree in self._trees:
            if tree.address == address and tree.path:
                tree.path[-1][1].children.append(node)
                tree.path.append((depth, node))
                return
        if depth > 0 and not self._allow_nonroot:
            raise _refused(
                "[recording authorization only] encountered authorization not tied to the root "
                "contract invocation for an address"
            )
        tree = _RecordedTree(address, node, self._nonce(host, address), [(depth, node)])
        self._trees.append(tree)
        if address != self._source:
            # What a real run touches to check a signature belongs into the footprint.
            if is_account(address):
                host.get(account_key(address))
            host.put_temporary(nonce_key(address, tree.nonce), UsedNonce(), host.sequence)
            host.instructions += _SIGNATURE_INSTRUCTIONS

    def leave(self, depth: int) -> None:
        """Forget the path of the call that ended; its node stays in the tree."""
        for tree in self._trees:
            while tree.path and tree.path[-1][0] >= depth:
                tree.path.pop()

    def _nonce(self, host: Host, address: str) -> int:
        # A node draws it at random; drawn from what it is for, a simulation can be repeated.
        seed = f"{address} {host.sequence} {host.frames[-1]} {len(self._trees)}".encode()
        return int.from_bytes(hashlib.sha256(seed).digest()[:8], "big", signed=True)

    def entries(self) -> list[xdr.SorobanAuthorizationEntry]:
        """Give the entries to be signed and sent with the operation."""
        return [
            xdr.SorobanAuthorizationEntry(self._credentials(tree), _recorded_invocation(tree.root))
            for tree in self._trees
        ]

    def _credentials(self, tree: _RecordedTree) -> xdr.SorobanCredentials:
        kind = xdr.SorobanCredentialsType
        if tree.address == self._source:
            return xdr.SorobanCredentials(kind.SOROBAN_CREDENTIALS_SOURCE_ACCOUNT)
        unsigned = xdr.SorobanAddressCredentials(
            sc_address(tree.address), xdr.Int64(tree.nonce), xdr.Uint32(0), scval.to_void()
        )
        if self._upgraded:
            return xdr.SorobanCredentials(kind.SOROBAN_CREDENTIALS_ADDRESS_V2, address_v2=unsigned)
        return xdr.SorobanCredentials(kind.SOROBAN_CREDENTIALS_ADDRESS, address=unsigned)


def _recorded_invocation(node: _RecordedNode) -> xdr.SorobanAuthorizedInvocation:
    frame = node.frame
    call = xdr.InvokeContractArgs(
        sc_address(frame.contract),
        xdr.SCSymbol(frame.function.encode("latin-1")),
        [xdr.SCVal.from_xdr_bytes(arg) for arg in frame.arguments],
    )
    function = xdr.SorobanAuthorizedFunction(
        xdr.SorobanAuthorizedFunctionType.SOROBAN_AUTHORIZED_FUNCTION_TYPE_CONTRACT_FN, contract_fn=call
    )
    return xdr.SorobanAuthorizedInvocation(function, [_recorded_invocation(child) for child in node.children])


def _check_signature(host: Host, entry: Authorization) -> None:
    assert entry.address is not None
    host.instructions += _SIGNATURE_INSTRUCTIONS
    if entry.expires < host.sequence:
        raise _refused("signature has expired", ErrorCode.SCEC_INVALID_INPUT)
    if entry.expires > host.sequence + MAX_TTL - 1:
        raise _refused("signature expiration is too late", ErrorCode.SCEC_INVALID_INPUT)
    if not is_account(entry.address):
        raise _refused("failed account authentication: the contract has no __check_auth")
    account = host.get(account_key(entry.address))
    if account is None or not isinstance(account.value, Account):
        raise _refused("failed account authentication: the account is missing", ErrorCode.SCEC_MISSING_VALUE)
    if not _is_signed(entry):
        raise _refused("failed account authentication", ErrorCode.SCEC_INVALID_ACTION)
    key = nonce_key(entry.address, entry.nonce)
    if host.get(key) is not None:
        raise _refused("nonce already exists for address", ErrorCode.SCEC_EXISTING_VALUE)
    host.put_temporary(key, UsedNonce(), entry.expires)


def _is_signed(entry: Authorization) -> bool:
    """Tell whether the signature is a vector with one map of the account's key and its signature."""
    assert entry.address is not None
    key = raw_key(entry.address)
    vector = entry.signature.vec if entry.signature is not None else None
    if vector is None or len(vector.sc_vec) != 1 or vector.sc_vec[0].map is None:
        return False
    fields = {
        item.key.sym.sc_symbol: item.val.bytes.sc_bytes
        for item in vector.sc_vec[0].map.sc_map
        if item.key.sym is not None and item.val.bytes is not None
    }
    signature = fields.get(b"signature", b"")
    return fields.get(b"public_key") == key and verify_ed25519(key, entry.payload, signature)
