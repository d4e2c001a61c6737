"""The command line."""

from __future__ import annotations

import sys
from typing import Any

import pytest

COATI = [sys.executable, "-m", "coati"]


def test_bad_usage_is_one_clear_line(program: Any) -> None:
    for arguments in (["nonsense"], [], ["run"], ["doctor", "too", "much"]):
        program.call([*COATI, *arguments], status=2)
        assert program.stdout == ""
        (line,) = program.stderr.splitlines()
        assert line.startswith("coati")
    program.call([*COATI, "run", "missing.py"], status=2)
    assert program.stderr == "coati run: no such file: missing.py\n"


def test_doctor(program: Any) -> None:
    program.call([*COATI, "doctor"], COATI_LOGS_LEVEL="warning", COATI_PRESET="production")
    for part in (
        "coati ",
        "clock: ",
        'logs.level = "warning"',
        "COATI_LOGS_LEVEL",
        "preset production",
        "health: ok",
        "ledger",
        "console",
    ):
        assert part in program.stdout
    program.call([*COATI, "doctor"], status=2, COATI_LOGS_LEVEL="loud")
    (line,) = program.stderr.splitlines()
    assert "loud" in line


def test_doctor_names_a_file_that_cannot_be_written(program: Any) -> None:
    path = program.folder / "taken"
    path.mkdir()
    for name, told in (
        ("taken", "failing: a directory is there"),
        ("program.py/out.jsonl", "program.py is not a directory"),
        ("new/out.jsonl", "new/out.jsonl: ok"),
    ):
        (program.folder / "program.py").touch()
        (program.folder / "coati.toml").write_text(f'[[sinks]]\ntype = "file"\npath = "{name}"\n')
        program.call([*COATI, "doctor"], COATI_CONFIG_FILE="coati.toml")
        assert told in program.stdout
    assert not (program.folder / "new").exists()


@pytest.mark.parametrize("dashes", [["--"], []])
def test_run(program: Any, dashes: list[str]) -> None:
    (program.folder / "helper.py").write_text("ANSWER = 42\n")
    (program.folder / "app.py").write_text(
        "import sys, helper, coati\n"
        "print(__name__, sys.argv[1:], helper.ANSWER)\n"
        "coati.get_logger('app').info('hello')\n"
        "sys.exit(7)\n"
    )
    (program.folder / "coati.toml").write_text('[[sinks]]\ntype = "file"\npath = "out.jsonl"\n')
    program.call(
        [*COATI, "run", *dashes, "app.py", "--flag", "-x", "1"],
        status=7,
        COATI_CONFIG_FILE="coati.toml",
    )
    assert program.stdout == "__main__ ['--flag', '-x', '1'] 42\n"
    assert program.stderr == (
        "coati: 1 logs recorded, 1 delivered; 0 spans recorded, 0 delivered\n"
    )
    assert program.messages() == ["hello"]


def test_run_shows_an_exception_as_python_does(program: Any) -> None:
    (program.folder / "app.py").write_text("raise ValueError('app')\n")
    program.call([*COATI, "run", "app.py"], status=1)
    assert "ValueError: app" in program.stderr
