"""The command line: ``coati``."""

from __future__ import annotations

import argparse
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
    commands.add_parser(
        "run", help="run a Python program with coati attached to it", add_help=False
    )
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
    if argv[:1] == ["run"]:
        from coati import run  # noqa: PLC0415

        return run.main(argv[1:])
    if "--version" in argv[:1]:
        from coati import __version__  # noqa: PLC0415

        print(f"coati {__version__}")
        return 0
    parser = _parser()
    parser.parse_args(argv)
    from coati import doctor  # noqa: PLC0415

    return doctor.main()
