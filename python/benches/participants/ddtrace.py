"""ddtrace without an agent: a trace filter, as its documentation has it, drops whole traces."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from rows import TRACEPARENT, Participant

os.environ |= {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
    "DD_TRACE_PROPAGATION_STYLE": "tracecontext",
    "DD_TRACE_HEALTH_METRICS_ENABLED": "false",
}

from ddtrace.propagation.http import HTTPPropagator
from ddtrace.trace import TraceFilter, tracer


class Nowhere(TraceFilter):
    """Nothing is sent."""

    def process_trace(self, trace: object) -> None:
        """Drops it."""


def calls(_: Path) -> Participant:
    """Spans and their propagation."""
    tracer.configure(trace_processors=[Nowhere()])

    def span(n: int) -> None:
        for _ in range(n):
            with tracer.trace("plan") as span:
                span.set_tag("steps", 4)
                span.set_tag("model", "gpt-4o")
                span.set_tag("cost", 0.25)
                span.set_tag("ok", True)

    def bare() -> None:
        pass

    traced = tracer.wrap("bare")(bare)
    headers: dict[str, str] = {}
    incoming = {"traceparent": TRACEPARENT}

    def call_bare(n: int) -> None:
        for _ in range(n):
            bare()

    def call(n: int) -> None:
        for _ in range(n):
            traced()

    def inject(n: int) -> None:
        with tracer.trace("request") as span:
            for _ in range(n):
                HTTPPropagator.inject(span.context, headers)

    def extract(n: int) -> None:
        for _ in range(n):
            HTTPPropagator.extract(incoming)

    made = Participant()
    made.calls("py_span", span)
    made.calls("py_traced", call, bare=call_bare)
    made.calls("py_inject", inject)
    made.calls("py_extract", extract)
    asynchronous(made)
    return made


def asynchronous(made: Participant) -> None:
    """A traced coroutine over a bare one."""

    async def bare() -> None:
        pass

    traced = tracer.wrap("bare")(bare)

    async def await_bare(n: int) -> None:
        for _ in range(n):
            await bare()

    async def awaits(n: int) -> None:
        for _ in range(n):
            await traced()

    made.calls(
        "py_traced_async",
        lambda n: asyncio.run(awaits(n)),
        bare=lambda n: asyncio.run(await_bare(n)),
    )


PARTS = {"calls": calls}
