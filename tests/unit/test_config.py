"""The configuration: file, environment, options; and how each is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from kalepool.config import FILE_NAME, KEYS, example, load, variable
from kalepool.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "kalepool.toml.example"


def write(folder: Path, text: str) -> Path:
    path = folder / FILE_NAME
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    config = load(None, {}, tmp_path)
    assert config.file is None
    assert config.text("network.name") == "local"
    assert config.path("store.path") == tmp_path / "kalepool.db"
    assert config.stroops("fees.transaction_most_xlm") == 500_000


def test_the_example_lists_every_key_with_its_default_and_loads(tmp_path: Path) -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example()
    write(tmp_path, example())
    assert load(None, {}, tmp_path).values == {key.name: key.default for key in KEYS}


def test_the_environment_overrides_the_file_and_options_override_both(tmp_path: Path) -> None:
    write(tmp_path, "[mining]\nthreads = 2\nniceness = 3\nopen_blocks = true\n")
    environment = {"KALEPOOL_MINING_NICENESS": "4", "KALEPOOL_MINING_OPEN_BLOCKS": "false"}
    config = load(None, environment, tmp_path, {"mining.threads": 5})
    assert (config.whole("mining.threads"), config.whole("mining.niceness")) == (5, 4)
    assert config.flag("mining.open_blocks") is False


def test_lists_come_from_the_environment_with_commas(tmp_path: Path) -> None:
    config = load(None, {variable("network.rpc"): "http://a, https://b"}, tmp_path)
    assert config.texts("network.rpc") == ("http://a", "https://b")


def test_the_working_folder_comes_before_the_users(tmp_path: Path) -> None:
    users = tmp_path / "home" / ".config" / "kalepool"
    users.mkdir(parents=True)
    (users / FILE_NAME).write_text("[mining]\nthreads = 1\n", encoding="utf-8")
    working = tmp_path / "work"
    working.mkdir()
    environment = {"HOME": str(tmp_path / "home")}
    config = load(None, environment, working)
    assert (config.whole("mining.threads"), config.folder) == (1, users)
    write(working, "[mining]\nthreads = 2\n")
    assert load(None, environment, working).whole("mining.threads") == 2


def test_the_passphrase_in_the_environment_is_no_key(tmp_path: Path) -> None:
    load(None, {"KALEPOOL_PASSPHRASE": "x", "KALEPOOL_PASSPHRASE_FILE": "y"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[mining]\nthread = 2\n", "mining.thread"),
        ("[minig]\nthreads = 2\n", "minig.threads"),
        ("threads = 2\n", "threads"),
        ("[mining]\nthreads = -1\n", "mining.threads"),
        ("[mining]\nthreads = 1.5\n", "mining.threads"),
        ("[mining]\nthreads = true\n", "mining.threads"),
        ('[mining]\nopen_blocks = "yes"\n', "mining.open_blocks"),
        ('[network]\nname = "pubnet"\n', "network.name"),
        ('[network]\nrpc = ["ftp://x"]\n', "network.rpc"),
        ('[network]\nkale_contract = "GABC"\n', "network.kale_contract"),
        ("[fees]\nday_most_xlm = 200\n", "fees.day_most_xlm"),
        ('[fees]\nday_most_xlm = "2,5"\n', "fees.day_most_xlm"),
        ('[terms]\nstake = "101%"\n', "terms.stake"),
        ('[terms]\nstake = "ten"\n', "terms.stake"),
        ("[terms\n", "not TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_what_would_do(tmp_path: Path, text: str, says: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(None, {}, tmp_path)
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"KALEPOOL_MINING_THREAD": "2"}, "KALEPOOL_MINING_THREAD"),
        ({"KALEPOOL_MINING_THREADS": "two"}, "mining.threads"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(
    tmp_path: Path, environment: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, environment, tmp_path)
    assert says in caught.value.message


def test_a_file_that_was_named_must_be_there_and_be_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load(str(tmp_path / "none.toml"), {}, tmp_path)
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError):
        load(str(path), {}, tmp_path)
