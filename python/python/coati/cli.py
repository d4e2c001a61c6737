"""The command line: ``coati``."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from typing import NoReturn


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="coati", description="Logs, spans and metrics of a program.")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    commands.add_parser("demo", help="record a lot and show that it adds up", add_help=False)
    run = commands.add_parser(
        "run",
        help="run a Python program with coati started",
        usage="coati run [--] program.py [args ...]",
        description="Starts coati from COATI_* variables and COATI_CONFIG_FILE and runs a program.",
    )
    run.add_argument("program", help="path of a Python file or directory")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program is given")
    commands.add_parser(
        "doctor",
        help="show versions, configuration in force, whether endpoints answer, health and ledger",
        description="Starts coati as a program would and shows what it would do: each value of "
        "the configuration with its source, and whether sinks and endpoints work. Exit status: "
        "0 all well, 1 something does not work, 2 bad configuration.",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["demo"]:
        from coati import demo  # noqa: PLC0415 - only this command needs it

        return int(demo.main(argv[1:]) or 0)
    if "--version" in argv[:1]:
        from coati import __version__  # noqa: PLC0415

        print(f"coati {__version__}")
        return 0
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command == "run":
        return _run(options.program, options.arguments)
    from coati import doctor  # noqa: PLC0415

    return doctor.main()


def _start() -> bool:
    import coati  # noqa: PLC0415 - `coati --help` needs no engine

    try:
        coati.init()
    except coati.ConfigError as error:
        print(f"coati: {error}", file=sys.stderr)
        return False
    return True


def _run(program: str, arguments: list[str]) -> int:
    if not os.path.exists(program):
        print(f"coati run: no such file: {program}", file=sys.stderr)
        return 2
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    if not _start():
        return 2
    sys.argv = [program, *arguments]
    if os.path.isfile(program):
        # As `python program.py` does; a directory is put there by `run_path` itself.
        sys.path[0] = os.path.dirname(os.path.abspath(program))
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        _summarize()
    return 0


def _summarize() -> None:
    import coati  # noqa: PLC0415

    coati.flush()
    parts = []
    for signal in ("logs", "spans"):
        books = coati.ledger()[signal]
        dropped = sum(books["dropped"].values())
        parts.append(f"{books['recorded']} {signal} recorded, {books['delivered']} delivered")
        if dropped:
            parts[-1] += f", {dropped} dropped"
    print(f"coati: {'; '.join(parts)}", file=sys.stderr)
