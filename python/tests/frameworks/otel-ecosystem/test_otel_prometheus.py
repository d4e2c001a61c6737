"""What Prometheus is shown: by the SDK's reader on both kits, and by coati's own page."""

from __future__ import annotations

from typing import Any

import coati.otel
from conftest import Engine
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Values by name and labels that are not empty."""
    shown: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if value}
            if "le" in labels:
                # The SDK shows bounds as integers where they were given so.
                labels["le"] = str(float(labels["le"]))
            if not sample.name.startswith("target"):
                shown[sample.name, frozenset(labels.items())] = sample.value
    return shown


def program(provider: Any) -> None:
    """Two libraries, one of whose metrics are called the same."""
    for name, version, times in (("a.library", "1.0", 1), ("b.library", None, 2)):
        meter = provider.get_meter(name, version)
        requests = meter.create_counter("http.requests", "1", "How many")
        took = meter.create_histogram("http.duration", "ms", "How long")
        size = meter.create_histogram("size", "By", explicit_bucket_boundaries_advisory=[10, 100])
        for number in range(times):
            requests.add(1, {"http.method": "GET", "ok": True})
            requests.add(2.5, {"http.method": "POST", "ok": False})
            took.record(7.5 * number, {"path": '/"x"'})
            size.record(50)
        meter.create_up_down_counter("open").add(-3)
        meter.create_gauge("level", "%").set(2.5, {"room": "x"})
        meter.create_observable_gauge("disk.used", [lambda _: [Observation(4, {"d": "e"})]], "By")


def read(kit: Any) -> Samples:
    """The SDK's reader on a kit."""
    registry = CollectorRegistry()
    provider = kit(metric_readers=[PrometheusMetricReader(registry=registry)])
    program(provider)
    shown = samples(generate_latest(registry).decode())
    own = samples(coati.metrics.prometheus_text())
    provider.shutdown()
    assert kit is MeterProvider or own == shown
    return shown


def test_three_pages(engine: Engine) -> None:
    theirs = read(MeterProvider)
    assert len(theirs) == 56
    assert read(coati.otel.MeterProvider) == theirs
