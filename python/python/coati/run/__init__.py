"""``coati run``: a program that knows nothing of coati, recorded by it."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence

from coati.run.options import Options, parse

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the program that the command line names; its exit status, unless it raises."""
    options = parse(argv)
    if options.list:
        return _list(options)
    if options.kind == "script" and not os.path.exists(options.target):
        print(f"coati run: no such file: {options.target}", file=sys.stderr)
        return 2
    import coati  # noqa: PLC0415 - bad usage needs no engine
    from coati.run import engine, execute, forks, signals  # noqa: PLC0415
    from coati.run.attach import Attachments  # noqa: PLC0415
    from coati.run.summary import Summary  # noqa: PLC0415

    attachments = Attachments(options.adapters)
    summary = Summary(attachments, wanted=options.summary)
    try:
        # Registered before the engine registers its own end, and so called after it.
        atexit.register(summary.tell)
        names = [adapter.name for adapter in options.adapters]
        engine.Starter(options.service, options.config, names, summary.add)
    except coati.ConfigError as error:
        atexit.unregister(summary.tell)
        print(f"coati: {error}", file=sys.stderr)
        return 2
    signals.install(summary.tell)
    forks.install()
    attachments.install()
    execute.execute(options)
    return 0


def _list(options: Options) -> int:
    for adapter in options.adapters:
        version = adapter.version()
        if version is None:
            print(f"{adapter.name}: not installed")
        else:
            print(f"{adapter.name}: {version}, attached by {adapter.module} when imported")
    return 0
