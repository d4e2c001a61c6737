"""What a request costs with middleware, and a call with an observer of ``coati.agents``.

    python components.py [--rounds N]

Interleaved in one process: the application or the function alone, OpenTelemetry's own middleware
on its SDK with a batch processor that writes to a file, and coati with a file. Applications are
called without a server, which would cost more than all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"

import coati
import coati.asgi
import coati.wsgi
from coati import agents, genai
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as TheirAsgi
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as TheirWsgi
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

Calls = Callable[[int], None]


async def _asgi_app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


def _wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"x"]


def _asgi(app: Any) -> Calls:
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/users/7",
        "query_string": b"page=2",
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 4711),
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"user-agent", b"bench"),
            (b"traceparent", b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"),
        ],
    }

    async def nothing(_: Any = None) -> Any:
        return {"type": "http.request"}

    def calls(n: int) -> None:
        async def run() -> None:
            for _ in range(n):
                await app(dict(scope), nothing, nothing)

        asyncio.run(run())

    return calls


def _wsgi(app: Any) -> Calls:
    environ = {
        "REQUEST_METHOD": "GET",
        "wsgi.url_scheme": "http",
        "PATH_INFO": "/users/7",
        "QUERY_STRING": "page=2",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_USER_AGENT": "bench",
        "HTTP_TRACEPARENT": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
    }

    def calls(n: int) -> None:
        for _ in range(n):
            body = app(dict(environ), lambda status, headers, exc_info=None: None)
            for _piece in body:
                pass
            close = getattr(body, "close", None)
            if close is not None:
                close()

    return calls


def _observed() -> dict[str, tuple[Calls, Calls | None, Calls]]:
    """Calls alone and with an observer."""

    class Planner(agents.Observable):
        pass

    planner = Planner()
    usage = genai.Usage(120, 8)

    def alone(n: int) -> None:
        for _ in range(n):
            pass

    def tool(n: int) -> None:
        for _ in range(n):
            with agents.tool("search"):
                pass

    search = agents.tool("search")

    def same_tool(n: int) -> None:
        for _ in range(n):
            with search:
                pass

    def model(n: int) -> None:
        for _ in range(n):
            with agents.model("gpt-4o", provider="openai") as call:
                call.response(usage=usage)

    def operation(n: int) -> None:
        for _ in range(n):
            with planner.observe_operation("plan", steps=4):
                pass

    return {
        "agents.tool, made each time": (alone, None, tool),
        "agents.tool, made once": (alone, None, same_tool),
        "agents.model with usage": (alone, None, model),
        "observe_operation": (alone, None, operation),
    }


def _cases(folder: Path) -> dict[str, tuple[Calls, Calls | None, Calls]]:
    provider = TracerProvider()
    lines = (folder / "theirs.json").open("w")
    exporter = ConsoleSpanExporter(out=lines)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=1 << 20))
    without = {"tracer_provider": provider, "exclude_spans": ["receive", "send"]}
    return {
        "ASGI request": (
            _asgi(_asgi_app),
            _asgi(TheirAsgi(_asgi_app, **without)),
            _asgi(coati.asgi.Middleware(_asgi_app)),
        ),
        "WSGI request": (
            _wsgi(_wsgi_app),
            _wsgi(TheirWsgi(_wsgi_app, tracer_provider=provider)),
            _wsgi(coati.wsgi.Middleware(_wsgi_app)),
        ),
        **_observed(),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of all cases (15)")
    parser.add_argument("--calls", type=int, default=300, help="calls in a row (300)")
    options = parser.parse_args()
    n: int = options.calls
    genai.set_prices({"gpt-4o": {"input": 2.5, "output": 10.0}})
    with tempfile.TemporaryDirectory() as folder:
        sink = {"type": "file", "path": f"{folder}/coati.jsonl"}
        coati.init("components", config={"sinks": [sink], "ring": {"bytes": 1 << 26}})
        cases = _cases(Path(folder))
        took: dict[tuple[str, int], list[float]] = {}
        for _ in range(options.rounds):
            for name, sides in cases.items():
                for side, calls in enumerate(sides):
                    if calls is None:
                        continue
                    calls(10)
                    begun = time.perf_counter_ns()
                    calls(n)
                    took.setdefault((name, side), []).append((time.perf_counter_ns() - begun) / n)
                    coati.flush()
        books = coati.shutdown()
        assert not books["logs"]["dropped"], books
        assert not books["spans"]["dropped"], books
    print("| us, minimum / median | alone | OpenTelemetry's adds | coati adds | ratio |")
    print("|---|---|---|---|---|")
    for name in cases:
        alone = took[name, 0]
        cells = [f"{min(alone) / 1e3:.1f} / {statistics.median(alone) / 1e3:.1f}"]
        medians = []
        for side in (1, 2):
            values = took.get((name, side))
            if values is None:
                cells.append("-")
                continue
            least = min(values) - min(alone)
            medians.append(statistics.median(values) - statistics.median(alone))
            cells.append(f"{least / 1e3:.1f} / {medians[-1] / 1e3:.1f}")
        ratio = f"{medians[0] / medians[1]:.1f} x" if len(medians) == 2 else "-"
        print(f"| {name} | {' | '.join(cells)} | {ratio} |")


if __name__ == "__main__":
    main()
