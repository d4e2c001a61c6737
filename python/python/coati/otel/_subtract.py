"""What has been counted since an earlier reading of the same series."""

from __future__ import annotations

from typing import Any

#: Index of the first bucket, and counts.
_Side = tuple[int, list[int]]


def subtract(value: Any, base: Any) -> Any:
    """``value`` less ``base``: numbers, or histograms as the engine tells them.

    A series that counts less than before began anew.
    """
    if not isinstance(value, tuple):
        return value - base
    count, total, low, high, buckets = value
    less, less_total, _, _, less_buckets = base
    if count < less:
        return value
    if isinstance(buckets, list):
        left: Any = [now - before for now, before in zip(buckets, less_buckets, strict=True)]
    else:
        left = _exponential(buckets, less_buckets)
    return count - less, total - less_total, low, high, left


def _exponential(now: Any, before: Any) -> Any:
    scale = min(now[0], before[0])
    sides = []
    for place in (2, 3):
        more = _coarse(now[place], now[0] - scale)
        for index, count in _coarse(before[place], before[0] - scale).items():
            more[index] = more.get(index, 0) - count
        sides.append(_side({index: count for index, count in more.items() if count}))
    return scale, now[1] - before[1], sides[0], sides[1]


def _coarse(side: _Side, by: int) -> dict[int, int]:
    """Counts by index, at a scale that is less by that much."""
    coarse: dict[int, int] = {}
    for at, count in enumerate(side[1]):
        index = (side[0] + at) >> by
        coarse[index] = coarse.get(index, 0) + count
    return coarse


def _side(counts: dict[int, int]) -> _Side:
    if not counts:
        return 0, []
    first = min(counts)
    return first, [counts.get(index, 0) for index in range(first, max(counts) + 1)]
