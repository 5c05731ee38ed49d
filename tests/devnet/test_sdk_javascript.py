"""The JavaScript stellar-sdk meets a devnet over a socket; ``js/cycle.mjs`` is what it does there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from stellar_sdk import xdr

from kalepool.core import contract as rules
from kalepool.devnet.network import PROTOCOL_VERSION
from kalepool.xdr.farm import block_from_scval, pail_from_scval
from support.live import LiveNetwork

_HERE = Path(__file__).parent / "js"
_PACKAGE = _HERE / "node_modules" / "@stellar" / "stellar-sdk" / "package.json"
_OLDEST_NODE = 20
_SPEED = 400.0  # a block in 0.75 s; nobody here plants but when one is due
_TIMEOUT_S = 120


def _node() -> str:
    """Give the path of node, or skip and say why."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30)
    if int(version.stdout.strip().removeprefix("v").partition(".")[0]) < _OLDEST_NODE:
        pytest.skip(f"node {version.stdout.strip()} is older than {_OLDEST_NODE}")
    if not _PACKAGE.exists():
        pytest.skip("the npm packages are not installed: make js-test-setup")
    return node


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Let the JavaScript SDK farm, and give what it was told."""
    node = _node()
    with LiveNetwork(_SPEED) as network:
        run = subprocess.run(
            [node, "cycle.mjs", f"{network.url}/"],
            cwd=_HERE,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert isinstance(found, dict)
    return found


def test_the_whole_cycle_pays_what_the_rules_give_to_the_stroop(told: dict[str, Any]) -> None:
    first, second = told["first"], told["second"]
    # Nobody else worked in the first block, so all of it was the farmer's.
    assert int(first["reward"]) == int(first["balance"]) == rules.block_reward(first["index"])
    stake = int(second["stake"])
    assert stake > 0
    assert int(second["balance_planted"]) == int(first["balance"]) - stake
    block = block_from_scval(xdr.SCVal.from_xdr(second["block"]))
    pail = pail_from_scval(xdr.SCVal.from_xdr(second["pail"]))
    assert pail.stake == stake
    assert pail.gap == second["gap"]
    assert pail.zeros is not None
    assert pail.zeros >= 2
    assert pail.gap is not None
    weight = rules.weigh(block, pail.gap, pail.stake, pail.zeros).total
    reward = rules.share_of_block(second["index"], block, weight)
    assert int(second["reward"]) == reward
    assert int(second["balance_harvested"]) == int(second["balance_planted"]) + stake + reward
    assert [int(amount) for amount in told["mints"]] == [int(first["reward"]), reward + stake]


def test_it_can_decode_and_sign_the_credentials_that_it_is_given(told: dict[str, Any]) -> None:
    """It knows nothing of ADDRESS_V2, so it must be given what came before."""
    assert told["second"]["credentials"] == ["sorobanCredentialsAddress"]


def test_a_refusal_carries_the_contracts_number(told: dict[str, Any]) -> None:
    assert "Error(Contract, #8)" in told["second_plant_error"]


def test_it_can_read_what_a_node_tells_about_itself(told: dict[str, Any]) -> None:
    assert told["health"] == "healthy"
    assert told["protocol"] == PROTOCOL_VERSION
    assert told["header_sequence"] == told["sequence"]
    assert told["second"]["live_until"] > told["sequence"]
    assert told["largest_bid"] == "100"
    assert told["listed"] == ["SUCCESS"] * 3
