"""The default registry without what every process tells of itself.

Tests share their process, and other ones compare all metrics that the engine shows.
"""

from __future__ import annotations

from collections.abc import Iterator

import coati.prometheus
import pytest

_COLLECTORS = (
    coati.prometheus.GC_COLLECTOR,
    coati.prometheus.PLATFORM_COLLECTOR,
    coati.prometheus.PROCESS_COLLECTOR,
)
for _collector in _COLLECTORS:
    coati.prometheus.REGISTRY.unregister(_collector)


@pytest.fixture
def process_told() -> Iterator[None]:
    """The default registry as programs have it."""
    for collector in _COLLECTORS:
        coati.prometheus.REGISTRY.register(collector)
    yield
    for collector in _COLLECTORS:
        coati.prometheus.REGISTRY.unregister(collector)
