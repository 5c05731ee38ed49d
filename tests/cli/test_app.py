"""The program around its commands: global options, help, errors, the JSON envelope, a reader that leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from kalepool import __version__, benchmark, errors
from kalepool.cli.app import hoist_global_options, main
from kalepool.cli.output import EXIT_CODES, Output, exit_code


@pytest.mark.parametrize(
    ("words", "front", "rest"),
    [
        (["bench", "--json"], ["--json"], ["bench"]),
        (["--json", "bench", "-q", "--seconds", "1"], ["--json", "-q"], ["bench", "--seconds", "1"]),
        (["bench", "--network", "local"], ["--network", "local"], ["bench"]),
        (["bench", "--network=local"], ["--network=local"], ["bench"]),
        (["x", "--", "--json"], [], ["x", "--", "--json"]),
    ],
)
def test_global_options_work_before_and_after_the_command(
    words: list[str], front: list[str], rest: list[str]
) -> None:
    assert hoist_global_options(words) == (front, rest)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["bench", "--help"], ["devnet", "-h"]])
def test_help_is_data_and_no_failure(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "Usage:" in shown.out
    assert shown.err == ""


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kalepool {__version__}\n"


def test_no_words_at_all_show_the_help_and_are_a_matter_of_usage() -> None:
    assert main([]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sow"], "No such command 'sow'"),
        (["bench", "--fast"], "No such option: --fast"),
        (["--network", "moon", "bench"], "there is no network 'moon'"),
        (["bench", "--network", "moon"], "there is no network 'moon'"),
        (["bench", "--config"], "requires an argument"),
        (["bench", "--seconds", "nan"], "a benchmark takes more than 0"),
        (["bench", "--threads", "0"], "threads"),
        (["bench", "--kernel", "abacus"], "abacus"),
    ],
)
def test_wrong_words_get_one_line_and_a_hint(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    said, hint = shown.err.splitlines()
    assert said.startswith("error: ")
    assert message in said
    assert hint.startswith("hint: ")


def test_with_json_an_error_is_a_document_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sow", "--json"]) == 2
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert (document["schema"], document["ok"], document["data"]) == (1, False, {})
    assert document["error"].keys() == {"code", "message", "hint"}
    assert shown.err == ""


def test_every_kind_of_error_has_its_exit_code() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)} - {errors.KalepoolError}
    assert kinds == set(EXIT_CODES)
    assert sorted(EXIT_CODES.values()) == list(range(1, 9))


def test_a_traceback_is_shown_only_to_those_who_ask(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.ConfigError("no", hint="yes")
    assert Output().fail("x", error) == 3
    assert capsys.readouterr().err == "error: no\nhint: yes\n"
    assert Output(verbose=True).fail("x", error) == 3
    assert "ConfigError: no" in capsys.readouterr().err


def test_an_unexpected_failure_is_one_line_and_says_that_it_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(benchmark, "measure", broken)
    assert main(["bench"]) == 1
    assert "unexpected failure: ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["bench", "--seconds", "0.2"], ["bench", "--seconds", "0.2", "--json"], ["--help"]]
)
def test_a_reader_that_has_left_is_no_failure(words: list[str]) -> None:
    """As behind ``| head``: the pipe is closed before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-m", "kalepool", *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        text=True,
    )
    os.close(writer)
    assert (process.returncode, process.stderr.count("Traceback")) == (0, 0)


def test_the_hint_names_as_much_of_a_command_as_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["farmer", "sow"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == "hint: see `kalepool farmer --help`"
    assert main(["farmer", "add", "--sow"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == "hint: see `kalepool farmer add --help`"


def test_an_error_of_a_special_kind_ends_with_the_code_of_its_base() -> None:
    class Special(errors.RejectedError):
        pass

    assert exit_code(Special("no")) == 5
    assert exit_code(errors.KalepoolError("what?")) == 1
