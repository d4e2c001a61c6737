"""Instrumentation packages, unchanged, on the SDK and on coati: the same spans and metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any
from wsgiref.util import setup_testing_defaults

import httpx
import pytest
import requests
from conftest import Engine, free_port
from libraries import PROGRAMS, SPANS, run
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as Asgi
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as Wsgi
from peer import Peer, Providers, Recorded, instrumented, on_coati, on_sdk

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CLOSED = f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """One server, so that both runs talk to the same address."""
    peer = Peer()
    yield peer
    peer.close()


def both(engine: Engine, program: Callable[[Providers], None]) -> tuple[Recorded, Recorded]:
    """Run twice and compare."""
    theirs, ours = on_sdk(program), on_coati(engine, program)
    assert len(ours.spans) == len(theirs.spans)
    for after, before in zip(ours.spans, theirs.spans, strict=True):
        assert after == before
    assert ours.metrics == theirs.metrics
    assert ours.logs == theirs.logs
    return theirs, ours


def test_requests(engine: Engine, peer: Peer) -> None:
    def run() -> None:
        assert requests.get(f"{peer.url}/found?q=1", timeout=60).status_code == 200
        assert requests.get(f"{peer.url}/missing", timeout=60).status_code == 404
        requests.post(f"{peer.url}/form", data={"a": 1}, timeout=60)
        with pytest.raises(requests.ConnectionError):
            requests.get(CLOSED, timeout=60)

    peer.parents.clear()
    theirs, _ = both(engine, lambda providers: instrumented(RequestsInstrumentor, providers, run))
    assert len(theirs.spans) == 5
    assert theirs.metrics
    # Every request carried the span around it.
    assert len(peer.parents) == 6
    assert all(parent is not None and int(parent[-2:]) & 1 for parent in peer.parents)


def test_httpx(engine: Engine, peer: Peer) -> None:
    async def concurrently() -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            await asyncio.gather(*(client.get(f"{peer.url}/found/{n}") for n in range(4)))

    def run() -> None:
        with httpx.Client(timeout=60) as client:
            client.get(f"{peer.url}/found")
            client.get(f"{peer.url}/missing")
            with pytest.raises(httpx.ConnectError):
                client.get(CLOSED)
        asyncio.run(concurrently())

    theirs, _ = both(engine, lambda p: instrumented(HTTPXClientInstrumentor, p, run))
    assert len(theirs.spans) == 8


def test_wsgi(engine: Engine) -> None:
    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/fails":
            raise RuntimeError("no")
        start("404 Not Found" if "missing" in environ["PATH_INFO"] else "200 OK", [])
        return [b"an ", b"answer"]

    def program(providers: Providers) -> None:
        tracers, meters, _ = providers
        app = Wsgi(application, tracer_provider=tracers, meter_provider=meters)
        for path in ("/", "/missing", "/fails"):
            environ: dict[str, Any] = {"PATH_INFO": path, "HTTP_TRACEPARENT": REMOTE}
            setup_testing_defaults(environ)
            try:
                answer = app(environ, lambda *_: None)
                assert b"".join(answer) == b"an answer"
                answer.close()
            except RuntimeError:
                assert path == "/fails"

    theirs, _ = both(engine, program)
    assert {span[0][0] for span in theirs.spans} == {"remote"}
    assert theirs.metrics


def test_asgi(engine: Engine) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == "/fails":
            raise RuntimeError("no")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"an answer"})

    def program(providers: Providers) -> None:
        tracers, meters, _ = providers
        app = Asgi(application, tracer_provider=tracers, meter_provider=meters)

        async def call(path: str) -> None:
            scope = {
                "type": "http",
                "http_version": "1.1",
                "method": "GET",
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"",
                "scheme": "http",
                "headers": [(b"traceparent", REMOTE.encode()), (b"host", b"example.com")],
                "client": ("127.0.0.1", 5000),
                "server": ("127.0.0.1", 80),
            }

            async def receive() -> Any:
                return {"type": "http.request", "body": b""}

            async def send(_: Any) -> None:
                await asyncio.sleep(0)

            if path == "/fails":
                with pytest.raises(RuntimeError):
                    await app(scope, receive, send)  # type: ignore[arg-type]
            else:
                await app(scope, receive, send)  # type: ignore[arg-type]

        async def calls() -> None:
            await asyncio.gather(*map(call, ("/a", "/b", "/fails")))

        asyncio.run(calls())

    theirs, _ = both(engine, program)
    assert len(theirs.spans) > 5


def test_logging(engine: Engine) -> None:
    def program(providers: Providers) -> None:
        tracers, _, loggers = providers
        handler = LoggingHandler(logger_provider=loggers)
        logger = logging.getLogger("ecosystem")
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        LoggingInstrumentor().instrument(
            tracer_provider=tracers,
            inject_trace_context=True,
            enable_log_auto_instrumentation=False,
        )
        try:
            logger.info("outside %s", 1, extra={"user.id": "u1"})
            with tracers.get_tracer("program").start_as_current_span("root") as span:
                logger.warning("inside", extra={"count": 3})
                record = logger.makeRecord("n", 20, "f", 1, "m", (), None)
                # What other handlers print.
                assert record.otelTraceID == f"{span.get_span_context().trace_id:032x}"
                assert record.otelTraceSampled is True
        finally:
            LoggingInstrumentor().uninstrument()
            logger.removeHandler(handler)

    def own(recorded: Recorded) -> Recorded:
        for line in recorded.logs:
            for key in ("otelTraceID", "otelSpanID", "otelServiceName"):
                line[2].pop(key, None)
        return recorded

    theirs, ours = own(on_sdk(program)), own(on_coati(engine, program))
    assert ours.spans == theirs.spans
    assert ours.logs == theirs.logs
    assert [line[3] for line in ours.logs] == [None, "root"]


@pytest.fixture(scope="module")
def recorded(peer: Peer) -> list[dict[str, Recorded]]:
    """What the libraries recorded on the SDK and on coati, in processes of their own: not all of
    them can be taken out again.
    """
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        runs = [processes.submit(run, kit, peer.url) for kit in ("sdk", "coati")]
        return [one.result() for one in runs]


@pytest.mark.parametrize("name", PROGRAMS)
def test_libraries_for_agents(recorded: list[dict[str, Recorded]], name: str) -> None:
    theirs, ours = (of[name] for of in recorded)
    assert len(ours.spans) == len(theirs.spans) == SPANS[name]
    for after, before in zip(ours.spans, theirs.spans, strict=True):
        assert after == before
    assert ours.metrics == theirs.metrics
    assert ours.logs == theirs.logs
    assert ours.seen == theirs.seen
