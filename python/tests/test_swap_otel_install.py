"""``coati.otel.install()``: providers of the process's own, what stood in for them, and back."""

from __future__ import annotations

import coati.otel
from conftest import Engine, Program
from opentelemetry import _logs, metrics
from opentelemetry.metrics import Observation

BEFORE = """
from opentelemetry import _logs, metrics
from opentelemetry.metrics import Observation

meter = metrics.get_meter("early", "1")
counter, histogram = meter.create_counter("runs"), meter.create_histogram("took")
meter.create_observable_gauge("level", [lambda _: [Observation(4)]])
logger = _logs.get_logger("early", "1")
counter.add(1)
"""
CHECK = """
def told():
    return {metric.name: metric.value or metric.stats.count for metric in coati.metrics.snapshot()}

counter.add(5, {"a": "b"})
histogram.record(2.5)
logger.emit(body="a line")
late = metrics.get_meter("late").create_counter("late")
late.add(3)
assert told() == {"runs": 5, "took": 1, "level": 4, "late": 3}, told()
"""


def test_what_was_made_before_is_resolved(program: Program) -> None:
    """Meters, instruments and loggers that the API gave before record from then on."""
    program.run(
        BEFORE
        + """
import coati, coati.otel
coati.init("p", config={"sinks": [SINK]})
coati.otel.install()
coati.otel.install()
assert coati.otel.is_installed()
"""
        + CHECK
        + """
coati.otel.uninstall()
coati.otel.uninstall()
counter.add(100)
metrics.get_meter("gone").create_counter("gone").add(1)
_logs.get_logger("gone").emit(body="gone")
assert "gone" not in told() and told()["runs"] == 5, told()
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
sdk = MeterProvider(metric_readers=[reader])
metrics.set_meter_provider(sdk)
assert metrics.get_meter_provider() is sdk
counter.add(7)
told, *_ = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
assert told.data.data_points[0].value == 7
coati.shutdown()
"""
    )
    assert program.messages() == ["a line"]


def test_over_another_provider(program: Program) -> None:
    """What somebody has set before is set again afterwards."""
    program.run(
        """
        import coati, coati.otel
        from opentelemetry import _logs, metrics
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk.metrics import MeterProvider
        theirs = MeterProvider(), LoggerProvider()
        metrics.set_meter_provider(theirs[0])
        _logs.set_logger_provider(theirs[1])
        coati.init("p", config={"sinks": [SINK]})
        coati.otel.install()
        assert isinstance(metrics.get_meter_provider(), coati.otel.MeterProvider)
        _logs.get_logger("ours").emit(body="a line")
        coati.otel.uninstall()
        assert metrics.get_meter_provider() is theirs[0]
        assert _logs.get_logger_provider() is theirs[1]
        coati.shutdown()
        """
    )
    assert program.messages() == ["a line"]


def test_named_in_the_environment(program: Program) -> None:
    """The API finds the providers by their entry points."""
    program.run(
        """
        import coati
        from opentelemetry import _logs, metrics
        coati.init("p", config={"sinks": [SINK]})
        metrics.get_meter("m").create_counter("c").add(2)
        _logs.get_logger("l").emit(body="a line")
        assert coati.metrics.snapshot()[0].value == 2
        assert type(metrics.get_meter_provider()).__module__ == "coati.otel.metrics"
        coati.shutdown()
        """,
        OTEL_PYTHON_METER_PROVIDER="coati",
        OTEL_PYTHON_LOGGER_PROVIDER="coati",
    )
    assert program.messages() == ["a line"]


def test_readers_are_flushed_at_exit(program: Program) -> None:
    """A reader of the SDK gets what was counted before the program ends."""
    program.run(
        """
        import coati
        from coati.otel import MeterProvider
        from opentelemetry.sdk.metrics.export import (
            ConsoleMetricExporter, PeriodicExportingMetricReader,
        )
        coati.init("p", config={"sinks": [SINK]})
        reader = PeriodicExportingMetricReader(ConsoleMetricExporter())
        provider = MeterProvider(metric_readers=[reader])
        provider.get_meter("m").create_counter("at.exit").add(2)
        """
    )
    assert '"at.exit"' in program.stdout


def test_both_side_by_side(engine: Engine) -> None:
    """Providers made and handed over one by one."""
    ours, others = coati.otel.MeterProvider(), coati.otel.MeterProvider()
    assert not isinstance(metrics.get_meter_provider(), coati.otel.MeterProvider)
    ours.get_meter("a").create_counter("c").add(1)
    others.get_meter("b").create_counter("c").add(2)
    others.get_meter("b").create_observable_gauge("g", [lambda _: [Observation(1)]])
    logger = coati.otel.LoggerProvider().get_logger("a")
    assert isinstance(logger, _logs.Logger)
    logger.emit(body="a line")
    values = [(metric.name, metric.value) for metric in coati.metrics.snapshot()]
    # Observable instruments of other tests are asked for ever.
    values = sorted(value for value in values if value[0] in {"c", "g"})
    assert values == [("c", 1), ("c", 2), ("g", 1)]
    assert engine.log()["message"] == "a line"
    others.shutdown()
