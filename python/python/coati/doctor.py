"""``coati doctor``: versions, the configuration in force, where output goes, and whether it can."""

from __future__ import annotations

import json
import os
import platform
import sys
import urllib.error
import urllib.request
from typing import Any

#: Longest wait for an answer of a metrics endpoint, in seconds.
PATIENCE = 5.0


def main() -> int:
    """Print the report; 0 if everything answers, 1 if something fails, 2 on a bad configuration."""
    import coati  # noqa: PLC0415 - `coati --help` needs no engine

    try:
        engine = coati.init()
    except coati.ConfigError as error:
        print(f"coati: {error}", file=sys.stderr)
        return 2
    health = coati.health()
    _versions(health)
    settings = _configuration()
    failing = _sinks(health)
    failing += _endpoints(settings.get("metrics.prometheus"), engine.prometheus_address)
    print(f"\nhealth: {'ok' if health['ok'] else 'not ok'}")
    for problem in health["problems"]:
        print(f"  {problem['component']}: {problem['reason']} (since {problem['since']}, ", end="")
        print(f"{problem['lost']} records lost)")
    print("\nledger")
    for signal, books in coati.ledger().items():
        print(f"  {signal}: {json.dumps(books)}")
    return 1 if failing else 0


def _versions(health: dict[str, Any]) -> None:
    import coati  # noqa: PLC0415

    print(f"coati {coati.__version__}, {platform.python_implementation()} ", end="")
    print(f"{platform.python_version()}, {platform.platform()}")
    print(f"clock: {health['clock']}")


def _configuration() -> dict[str, Any]:
    from coati import _native  # noqa: PLC0415

    print("\nconfiguration, and where each value came from")
    settings = {}
    for key, value, source in _native.configuration():
        settings[key] = value
        print(f"  {key} = {json.dumps(value)}  ({source})")
    for warning in _native.warnings():
        print(f"  warning: {warning}")
    return settings


def _sinks(health: dict[str, Any]) -> int:
    print("\nsinks")
    failing = 0
    for sink in health["sinks"]:
        state = "ok" if sink["ok"] else "failing"
        obstacle = _obstacle(sink["name"]) if state == "ok" else None
        print(f"  {sink['name']}: {obstacle or state}")
        failing += (obstacle or state) != "ok"
    return failing


def _obstacle(name: str) -> str | None:
    """What would keep a file from being written; nothing is created to find out."""
    if not name.startswith("file "):
        return None
    path = os.path.abspath(name.removeprefix("file "))
    if os.path.isdir(path):
        return "failing: a directory is there"
    if os.path.exists(path):
        return None if os.access(path, os.W_OK) else "failing: the file cannot be written to"
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        return f"failing: {above} is not a directory"
    if not os.access(above, os.W_OK | os.X_OK):
        return f"failing: {above} cannot be written to"
    return None


def _endpoints(configured: Any, serving: str | None) -> int:
    from coati import _native  # noqa: PLC0415

    print("\nendpoints")
    failing = 0
    for signal, url, problem, seconds in _native.check_endpoints():
        state = f"failing: {problem}" if problem else f"answers ({seconds * 1e3:.0f} ms)"
        print(f"  otlp {signal} {url}: {state}")
        failing += problem is not None
    if not configured:
        print("  metrics: no endpoint")
        return failing
    url = f"http://{serving or configured}/metrics"
    problem = _unanswered(url)
    # Where another process has the address, that is most likely the program itself.
    state = "answers" if serving else "answers, served by another process"
    print(f"  metrics {url}: {f'failing: {problem}' if problem else state}")
    return failing + (problem is not None)


def _unanswered(url: str) -> str | None:
    """Why a metrics endpoint gives no page, if it does not; asking for a login is an answer."""
    # A proxy has no part in asking one's own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PATIENCE):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in {401, 403} else str(error)
    except OSError as error:
        return str(error)
