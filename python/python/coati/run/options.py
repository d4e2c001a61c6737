"""The command line of ``coati run``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from coati.run.table import ADAPTERS, Adapter

__all__ = ["Options", "parse"]

_USAGE = "coati run [options] [--] (program.py | -m module | -c code | -) [arguments ...]"
_EPILOG = """\
The program runs as `python program.py` would run it: arguments, exit status and signals are its
own. Packages are attached when the program imports them; `coati run --list` shows which. Where the
records go is said by COATI_* and OTEL_* variables and COATI_CONFIG_FILE or --config; without any,
they go to standard error. A program that calls coati.init itself has its way from then on.
"""
#: Options that are followed by a value.
_VALUED = ("--config", "--service", "--only", "--without")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class Options:
    """What is to be run, and how."""

    def __init__(self, parsed: argparse.Namespace, adapters: Sequence[Adapter]) -> None:
        #: ``script``, ``module``, ``code`` or ``stdin``.
        self.kind = "script"
        #: A path, a module's name or the code.
        self.target = ""
        self.arguments: list[str] = []
        self.adapters = adapters
        self.config: str | None = parsed.config
        self.service: str | None = parsed.service
        self.summary: bool = not parsed.quiet
        self.list: bool = parsed.list


def parse(argv: Sequence[str]) -> Options:
    """Read the command line; exits where it is bad, or only asks for help."""
    parser = _parser()
    ours, rest = _split(list(argv))
    parsed = parser.parse_args(ours)
    options = Options(parsed, _chosen(parser, parsed.only, parsed.without))
    if rest and rest[0][:2] in {"-m", "-c"}:
        rest[:1] = [rest[0][:2], *filter(None, [rest[0][2:]])]
        if len(rest) < 2:
            parser.error(f"argument expected for the {rest[0]} option")
        options.kind = "module" if rest[0] == "-m" else "code"
        options.target, options.arguments = rest[1], rest[2:]
    elif rest:
        options.kind = "stdin" if rest[0] == "-" else "script"
        options.target, options.arguments = rest[0], rest[1:]
    elif not options.list:
        parser.error("the following arguments are required: program")
    return options


def _parser() -> _Parser:
    parser = _Parser(
        prog="coati run",
        usage=_USAGE,
        description="Run a Python program unchanged, with coati attached to what it imports.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help="a TOML file instead of COATI_CONFIG_FILE")
    parser.add_argument("--service", metavar="NAME", help="the name of the service")
    parser.add_argument("--only", metavar="A,B", help="attach these adapters and no others")
    parser.add_argument("--without", metavar="A,B", help="leave these adapters out")
    parser.add_argument(
        "--quiet", "--no-summary", action="store_true", help="no summary at the program's end"
    )
    parser.add_argument(
        "--list", action="store_true", help="show what is installed and would be attached"
    )
    return parser


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Our options, and the program with its own."""
    at = 0
    while at < len(argv):
        argument = argv[at]
        if argument == "--":
            return argv[:at], argv[at + 1 :]
        if argument == "-" or argument[:2] in {"-m", "-c"} or not argument.startswith("-"):
            break
        at += 2 if argument in _VALUED else 1
    return argv[:at], argv[at:]


def _chosen(parser: _Parser, only: str | None, without: str | None) -> list[Adapter]:
    chosen = list(ADAPTERS)
    if only is not None:
        wanted = _named(parser, only)
        chosen = [adapter for adapter in chosen if adapter.name in wanted]
    if without is not None:
        unwanted = _named(parser, without)
        chosen = [adapter for adapter in chosen if adapter.name not in unwanted]
    return chosen


def _named(parser: _Parser, text: str) -> set[str]:
    """Names of adapters; a package's names stand for its adapter."""
    names: dict[str, str] = {}
    for adapter in ADAPTERS:
        for name in (*adapter.waits_for.split(), adapter.distribution, adapter.name):
            names[name.replace("-", "_")] = adapter.name
    found = set()
    for name in filter(None, (part.strip() for part in text.split(","))):
        known = names.get(name.replace("-", "_"))
        if known is None:
            there = ", ".join(adapter.name for adapter in ADAPTERS)
            parser.error(f"no adapter {name!r}: there are {there}")
        found.add(known)
    return found
