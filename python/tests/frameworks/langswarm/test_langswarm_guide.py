"""Programs as LangSwarm's guide writes them, on the real package with coati's modules."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import coati.compat.langswarm as ours
import pytest

# Taken before the fixture puts coati's in their place.
from langswarm.core.observability import ObservabilityProvider
from langswarm.core.observability.auto_instrumentation import (
    AutoInstrumentedMixin,
    auto_record_metric,
    initialize_auto_instrumentation,
    instrument_agent_operation,
)
from langswarm.core.observability.provider import create_development_observability


@pytest.fixture(autouse=True)
def installed(engine: Any) -> Iterator[Any]:
    """Their names are ours."""
    ours.install()
    yield engine
    ours.set_observability_provider(None)
    ours.uninstall()


def test_debugging_an_agent(engine: Any) -> None:
    provider = initialize_auto_instrumentation(create_development_observability())

    class Service(AutoInstrumentedMixin):
        async def do_work(self) -> None:
            async with self._auto_trace_async("do_work"):
                self._auto_log("info", "Working")

    @instrument_agent_operation("custom_action")
    async def act() -> str:
        await Service().do_work()
        auto_record_metric("business.sales.completed", 1.0, "counter", region="us-east")
        return "done"

    async def main() -> str:
        await provider.start()
        result = await act()
        await provider.stop()
        return result

    assert asyncio.run(main()) == "done"
    spans = {span["span"]: span for span in engine.spans()}
    assert spans["service.do_work"]["parent_span_id"] == spans["custom_action"]["span_id"]
    sold = provider.metrics.get_counter_value(
        "business.sales.completed", region="us-east", auto_instrumented="true"
    )
    assert sold == 1.0


def test_a_component_with_everything(engine: Any) -> None:
    class Processor:
        def __init__(self, provider: Any) -> None:
            self.name = "data_processor"
            self.logger = provider.get_logger(self.name)
            self.tracer = provider.get_tracer(self.name)
            self.metrics = provider.get_metrics(self.name)
            self.requests = self.metrics.create_counter("custom_requests_total", description="All")
            self.seconds = self.metrics.create_histogram(
                "custom_processing_duration_seconds", description="Time", buckets=[0.001, 1.0, 60.0]
            )

        async def process(self, items: list[Any]) -> list[Any]:
            with self.tracer.start_span(f"{self.name}_process") as span:
                began = time.time()
                span.set_attributes({"operation": "process", "args_count": len(items)})
                self.logger.debug("Starting process", operation="process", args_count=len(items))
                try:
                    with self.tracer.get_current_span() as same:
                        same.set_attribute("batch_size", len(items))
                    results = []
                    for number, item in enumerate(items):
                        with self.tracer.start_span(f"item_{number}") as inner:
                            inner.set_attribute("item_index", number)
                            with self.seconds.timer(labels={"operation": "item"}):
                                results.append(1 / item)
                    self.requests.increment(labels={"operation": "process", "status": "success"})
                    span.set_status("OK", "process completed successfully")
                    return results
                except Exception as error:
                    self.requests.increment(labels={"operation": "process", "status": "error"})
                    self.metrics.increment_counter(
                        "component_errors_total", labels={"error_type": type(error).__name__}
                    )
                    span.record_exception(error)
                    span.set_status("ERROR", str(error))
                    self.logger.error(
                        "Failed process",
                        duration=time.time() - began,
                        error_type=type(error).__name__,
                        error_message=str(error),
                    )
                    raise

    async def main() -> Any:
        provider = ObservabilityProvider.create_development()
        await provider.initialize()
        processor = Processor(provider)
        assert await processor.process([1, 2, 4]) == [1, 0.5, 0.25]
        with pytest.raises(ZeroDivisionError):
            await processor.process([0])
        described = await provider.get_metrics().export_metrics()
        text = await provider.get_metrics().export_prometheus_format()
        await provider.shutdown()
        return described, text

    described, text = asyncio.run(main())
    assert described["custom_requests_total#operation=process,status=error"]["value"] == 1
    assert described["custom_processing_duration_seconds#operation=item"]["stats"]["count"] == 4
    assert 'custom_requests_total{operation="process",status="success"} 1' in text
    records = engine.records()
    whole, failed = [one for one in records if one.get("span") == "data_processor_process"]
    assert (whole["status"]["code"], failed["status"]["code"]) == ("ok", "error")
    assert failed["status"]["description"] == "division by zero"
    assert [event["name"] for event in failed["events"]] == ["exception"]
    assert whole["attributes"]["batch_size"] == 3
    items = [one for one in records if str(one.get("span")).startswith("item_")]
    assert {one["parent_span_id"] for one in items} == {whole["span_id"], failed["span_id"]}
    (line,) = [one for one in records if one.get("message") == "Failed process"]
    assert (line["span_id"], line["component"]) == (failed["span_id"], "data_processor")


def test_a_production_configuration(program: Any) -> None:
    program.run(
        """
        import asyncio, json
        import coati.compat.langswarm
        coati.compat.langswarm.install()
        from langswarm.core.observability import ObservabilityProvider

        production = {
            "logging": {"level": "INFO", "output": "file", "file_path": "out.jsonl",
                        "format": "json", "rotation": {"max_size": "100MB", "backup_count": 10},
                        "correlation": True},
            "tracing": {"enabled": True, "sampling_rate": 0.1, "exporter": "console",
                        "batch_processor": True, "max_export_batch_size": 512},
            "metrics": {"enabled": True, "export_interval": 60, "prometheus_endpoint": "/metrics",
                        "exclude_labels": ["user_id"]},
            "integrations": {"essential_components": True, "parameter_logging": False},
            "performance": {"max_spans_per_trace": 100, "max_attributes_per_span": 20,
                            "span_timeout_seconds": 300},
        }

        async def main():
            observability = ObservabilityProvider.create(production)
            await observability.initialize()
            tracer, logger = observability.get_tracer("svc"), observability.get_logger("svc")
            kept = 0
            for number in range(300):
                with tracer.start_span("request") as span:
                    span.set_attribute("number", number)
                    kept += bool(span)
            metrics = observability.get_metrics()
            metrics.increment_counter("requests_total", labels={"user_id": "u", "status": "ok"})
            logger.info("Processing user request", user_id="user123", request_type="chat")
            await observability.shutdown()
            print(json.dumps([kept, list(await metrics.export_metrics())]))

        asyncio.run(main())
        """
    )
    kept, names = json.loads(program.stdout)
    assert 0 < kept < 300
    assert "requests_total#status=ok" in names
    (line,) = [one for one in program.records() if one["logger"] == "svc"]
    assert (line["user_id"], line["metadata"]) == ("user123", {"request_type": "chat"})
    assert line["service"] == "langswarm_v2"
