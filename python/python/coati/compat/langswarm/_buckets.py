"""A histogram's buckets, out of the text that Prometheus reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def _plain(text: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPED.get(found[0], found[0]), text)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def buckets(text: str, name: str, labels: Mapping[str, Any]) -> dict[float, int]:
    """How many values are at most each upper bound, of the series with these labels."""
    family = re.sub(r"\W", "_", name, flags=re.ASCII)
    line = re.compile(rf"{re.escape(family)}(?:_[a-z]+)?_bucket{{(.*)}} (\d+)")
    wanted = {
        re.sub(r"\W", "_", key, flags=re.ASCII): _shown(value) for key, value in labels.items()
    }
    found: dict[float, int] = {}
    for each in text.splitlines():
        match = line.match(each)
        if match:
            there = {key: _plain(value) for key, value in _LABEL.findall(match[1])}
            bound = float(there.pop("le"))
            if there == wanted:
                found[bound] = int(match[2])
    return found
