"""Middleware for ASGI: applications of Starlette and FastAPI behind real servers."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import coati
import coati.asgi
import httpx
import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn
import websockets.sync.client
from coati._http import host_and_port, redacted
from conftest import wait_until
from fastapi import APIRouter, FastAPI
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

log = coati.get_logger("app")
tracer = coati.get_tracer("app")
TRACE = "0123456789abcdef0123456789abcdef"
PARENT = f"00-{TRACE}-0123456789abcdef-01"


async def user(request: Request) -> PlainTextResponse:
    with tracer.span("work"):
        log.info("handled", baggage=coati.baggage.get("tenant"))
    return PlainTextResponse("hello", status_code=int(request.query_params.get("status", 200)))


async def boom(request: Request) -> PlainTextResponse:
    raise LookupError("no such thing")


async def stream(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            log.info("piece", number=number)
            yield b"piece "

    return StreamingResponse(pieces())


async def endless(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    return StreamingResponse(pieces())


async def broken(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        raise OverflowError("too much")

    return StreamingResponse(pieces())


class Background:
    """A response whose background task waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    async def respond(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("done", background=BackgroundTask(self.task))

    def task(self) -> None:
        assert self.go.wait(120)
        log.info("background")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        with tracer.span("echo"):
            await websocket.send_text(text)


async def refuse(websocket: WebSocket) -> None:
    await websocket.close()


def application(**more: Any) -> Starlette:
    items = [Route("/{item:int}", user), Route("/", user)]
    return Starlette(
        routes=[
            Route("/users/{user_id}", user),
            Route("/boom", boom),
            Route("/stream", stream),
            Route("/endless", endless),
            Route("/broken", broken),
            Route("/healthz", user),
            Mount("/shops/{shop}", routes=[Mount("/items", routes=items)]),
            WebSocketRoute("/echo/{room}", echo),
            WebSocketRoute("/refuse", refuse),
            *[Route(path, endpoint) for path, endpoint in more.items()],
        ]
    )


@contextlib.contextmanager
def under_uvicorn(app: Any) -> Iterator[str]:
    config = uvicorn.Config(app, log_config=None, ws="websockets-sansio", proxy_headers=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        wait_until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(120)
            assert not thread.is_alive()


@contextlib.contextmanager
def under_hypercorn(app: Any) -> Iterator[str]:
    config = hypercorn.config.Config()
    config.graceful_timeout = 0.1
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # The server's from here on.
        config.bind = [f"fd://{listener.detach()}"]
    stop, loop = asyncio.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(120)
        assert not thread.is_alive()
        loop.close()


SERVERS = pytest.mark.parametrize("serve", [under_uvicorn, under_hypercorn])


def server_spans(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spans of requests, in the order in which those came."""
    found = [record for record in records if record.get("kind") == "server"]
    return sorted(found, key=lambda span: str(span["start"]))


def recorded(engine: Any, count: int) -> list[dict[str, Any]]:
    """All records once so many server spans are there: clients may be quicker than servers."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        found.extend(engine.records())
        return len(server_spans(found)) >= count

    wait_until(enough)
    assert len(server_spans(found)) == count
    return found


def durations() -> list[Any]:
    name = "http.server.request.duration"
    return [metric for metric in coati.metrics.snapshot() if metric.name == name]


def active() -> list[Any]:
    name = "http.server.active_requests"
    return [metric.value for metric in coati.metrics.snapshot() if metric.name == name]


@SERVERS
def test_a_request_by_the_conventions(engine: Any, serve: Any) -> None:
    app = coati.asgi.Middleware(application())
    with serve(app) as url:
        headers = {"traceparent": PARENT, "baggage": "tenant=t1", "user-agent": "tester/1"}
        query = "/users/7?token=s3cret&page=2&X-Amz-Signature=abc"
        assert httpx.get(f"{url}{query}", headers=headers, timeout=120).text == "hello"
        records = recorded(engine, 1)
    (span,) = server_spans(records)
    port = int(url.rpartition(":")[2])
    attributes = span["attributes"]
    assert attributes.pop("client.port") > 0
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/users/{user_id}",
        "url.scheme": "http",
        "url.path": "/users/7",
        "url.query": "token=REDACTED&page=2&X-Amz-Signature=REDACTED",
        "server.address": "127.0.0.1",
        "server.port": port,
        "network.protocol.version": "1.1",
        "client.address": "127.0.0.1",
        "user_agent.original": "tester/1",
    }
    assert span["span"] == "GET /users/{user_id}"
    assert span["status"] == {"code": "unset"}
    assert (span["trace_id"], span["parent_span_id"]) == (TRACE, "0123456789abcdef")
    work = next(record for record in records if record.get("span") == "work")
    assert work["parent_span_id"] == span["span_id"]
    line = next(record for record in records if record.get("message") == "handled")
    assert line["baggage"] == "t1"
    (duration,) = durations()
    assert duration.labels == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/users/{user_id}",
        "network.protocol.version": "1.1",
        "url.scheme": "http",
    }
    assert (duration.unit, duration.stats.count) == ("s", 1)
    took = span["duration_ns"] / 1e9
    assert 0 < duration.stats.sum <= took + 0.001
    assert active() == [0]
    text = coati.metrics.prometheus_text()
    bounds = re.findall(r'http_server_request_duration_seconds_bucket{.*le="([^"]*)"', text)
    assert [float(bound) for bound in bounds] == [
        *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, float("inf"))
    ]


@SERVERS
def test_status_and_errors(engine: Any, serve: Any) -> None:
    with serve(coati.asgi.Middleware(application())) as url, httpx.Client(timeout=120) as client:
        for path in ("/users/1?status=404", "/nowhere", "/users/1?status=503", "/boom"):
            client.get(url + path)
        client.request("BREW", f"{url}/users/1")
        spans = server_spans(recorded(engine, 5))
    missing, nowhere, unavailable, failed, brewed = spans
    assert missing["status"] == {"code": "unset"}
    assert missing["attributes"]["http.response.status_code"] == 404
    assert nowhere["span"] == "GET"
    assert "http.route" not in nowhere["attributes"]
    assert "error.type" not in nowhere["attributes"]
    assert unavailable["status"] == {"code": "error"}
    assert unavailable["attributes"]["error.type"] == "503"
    assert failed["span"] == "GET /boom"
    assert failed["status"]["code"] == "error"
    assert failed["attributes"]["http.response.status_code"] == 500
    assert brewed["span"] == "HTTP /users/{user_id}"
    assert brewed["attributes"]["http.request.method"] == "_OTHER"
    assert brewed["attributes"]["http.request.method_original"] == "BREW"
    errors = {m.labels["error.type"] for m in durations() if "error.type" in m.labels}
    assert errors >= {"503"}
    assert set(active()) == {0}


@SERVERS
def test_an_exception_before_any_answer(engine: Any, serve: Any) -> None:
    async def bare(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            raise LookupError("no such thing")

    with serve(coati.asgi.Middleware(bare)) as url:
        assert httpx.get(url, timeout=120).status_code == 500
        (span,) = server_spans(recorded(engine, 1))
    assert span["attributes"]["error.type"] == "LookupError"
    assert span["status"] == {"code": "error", "description": "no such thing"}
    (event,) = span["events"]
    assert event["attributes"]["exception.message"] == "no such thing"
    (duration,) = durations()
    assert duration.labels["error.type"] == "LookupError"
    assert "http.response.status_code" not in duration.labels


@SERVERS
def test_bodies_that_come_in_pieces(engine: Any, serve: Any) -> None:
    background = Background()
    app = application(**{"/background": background.respond})
    with serve(coati.asgi.Middleware(app)) as url, httpx.Client(timeout=120) as client:
        assert client.get(f"{url}/stream").text == "piece piece piece "
        records = recorded(engine, 1)
        (span,) = server_spans(records)
        pieces = [record for record in records if record.get("message") == "piece"]
        assert [line["span_id"] for line in pieces] == [span["span_id"]] * 3
        assert max(line["timestamp"] for line in pieces) <= span["end"]
        with client.stream("GET", f"{url}/endless") as response:
            next(response.iter_raw())
        (span,) = server_spans(recorded(engine, 1))
        assert span["attributes"]["http.response.status_code"] == 200
        assert span["attributes"]["coati.http.client_gone"] is True
        assert span["status"] == {"code": "unset"}
        with contextlib.suppress(httpx.RemoteProtocolError):
            client.get(f"{url}/broken")
        (span,) = server_spans(recorded(engine, 1))
        assert "OverflowError" in str(span["events"])
        assert span["status"]["code"] == "error"
        assert client.get(f"{url}/background").text == "done"
        try:
            # The span has ended, the task has not.
            (span,) = server_spans(recorded(engine, 1))
        finally:
            background.go.set()
        lines: list[Any] = []

        def told() -> bool:
            lines.extend(engine.logs())
            return bool(lines)

        wait_until(told)
        assert lines[0]["span_id"] == span["span_id"]
    assert set(active()) == {0}


@SERVERS
def test_websockets(engine: Any, serve: Any) -> None:
    with serve(coati.asgi.Middleware(application())) as url:
        address = url.replace("http", "ws")
        with websockets.sync.client.connect(f"{address}/echo/blue?token=x") as socket_:
            for text in ("a", "b", "c"):
                socket_.send(text)
                assert socket_.recv(120) == text
        records = recorded(engine, 1)
        with pytest.raises(websockets.exceptions.InvalidStatus):
            websockets.sync.client.connect(f"{address}/refuse")
        (refused,) = server_spans(recorded(engine, 1))
    (span,) = server_spans(records)
    assert span["span"] == "GET /echo/{room}"
    attributes = span["attributes"]
    assert attributes["url.scheme"] == "ws"
    assert attributes["url.query"] == "token=REDACTED"
    assert attributes["http.response.status_code"] == 101
    assert attributes["coati.websocket.messages_received"] == 3
    assert attributes["coati.websocket.messages_sent"] == 3
    # Hypercorn does not tell its applications what the client has said.
    assert attributes["coati.websocket.close_code"] in {1000, 1006}
    assert span["status"] == {"code": "unset"}
    echoes = [record for record in records if record.get("span") == "echo"]
    assert [echo["parent_span_id"] for echo in echoes] == [span["span_id"]] * 3
    assert refused["attributes"]["http.response.status_code"] == 403
    assert durations() == []


@SERVERS
def test_lifespan_exclusion_and_one_span_for_two_middlewares(engine: Any, serve: Any) -> None:
    begun: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        begun.append("begun")
        yield
        begun.append("ended")

    app = Starlette(routes=application().routes, lifespan=lifespan)
    app.add_middleware(coati.asgi.Middleware)
    with serve(coati.asgi.Middleware(app, excluded_urls="healthz,^https://")) as url:
        httpx.get(f"{url}/healthz", timeout=120)
        httpx.get(f"{url}/users/1", timeout=120)
        httpx.get(f"{url}/shops/9/items/5", timeout=120)
        found = recorded(engine, 3)
    names = [span["span"] for span in server_spans(found)]
    # The inner one of the two does not know of the exclusion.
    assert names == ["GET /healthz", "GET /users/{user_id}", "GET /shops/{shop}/items/{item:int}"]
    assert begun == ["begun", "ended"]


def test_exclusion_by_the_environment(engine: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", "users, boom")
    monkeypatch.setenv("OTEL_PYTHON_ASGI_EXCLUDED_URLS", "healthz")
    app = coati.asgi.Middleware(application())
    with under_uvicorn(app) as url:
        httpx.get(f"{url}/healthz", timeout=120)
        httpx.get(f"{url}/users/1", timeout=120)
        (span,) = server_spans(recorded(engine, 1))
    assert span["span"] == "GET /users/{user_id}"


def test_routes_of_fastapi_and_of_a_program(engine: Any) -> None:
    app = FastAPI()
    router = APIRouter(prefix="/orders")

    @router.get("/{order_id}/lines")
    def lines(order_id: int) -> int:
        # In a worker thread: the context has come along.
        log.info("in a thread")
        return order_id

    app.include_router(router, prefix="/v1")
    app.add_middleware(coati.asgi.Middleware)

    async def own(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["coati.route"] = "/own/{thing}"
            await PlainTextResponse("x")(scope, receive, send)

    with under_uvicorn(app) as url:
        assert httpx.get(f"{url}/v1/orders/5/lines", timeout=120).text == "5"
        records = recorded(engine, 1)
    (span,) = server_spans(records)
    assert span["span"] == "GET /v1/orders/{order_id}/lines"
    (line,) = [record for record in records if "message" in record]
    assert line["span_id"] == span["span_id"]
    with under_uvicorn(coati.asgi.Middleware(own)) as url:
        httpx.get(f"{url}/own/5", timeout=120)
        assert server_spans(recorded(engine, 1))[0]["span"] == "GET /own/{thing}"
    asked = coati.asgi.Middleware(own, route=lambda scope: f"/asked{scope['path']}")
    with under_uvicorn(asked) as url:
        httpx.get(f"{url}/x", timeout=120)
        assert server_spans(recorded(engine, 1))[0]["span"] == "GET /asked/x"


def test_what_proxies_say_is_believed_on_request(engine: Any) -> None:
    headers = {
        "x-forwarded-for": "203.0.113.9, 10.0.0.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.example",
    }
    standard = {"forwarded": 'for="[2001:db8::1]:4711";proto=https;host=shop.example, for=10.0.0.1'}
    with under_uvicorn(coati.asgi.Middleware(application())) as url:
        httpx.get(f"{url}/users/1", headers=headers, timeout=120)
        (doubted,) = server_spans(recorded(engine, 1))
    with under_uvicorn(coati.asgi.Middleware(application(), forwarded=True)) as url:
        for said in (headers, standard):
            httpx.get(f"{url}/users/1", headers=said, timeout=120)
        spans = server_spans(recorded(engine, 2))
    assert doubted["attributes"]["url.scheme"] == "http"
    addresses = [span["attributes"]["client.address"] for span in spans]
    assert addresses == ["203.0.113.9", "2001:db8::1"]
    assert spans[1]["attributes"]["client.port"] == 4711
    for span in spans:
        assert span["attributes"]["url.scheme"] == "https"
        assert span["attributes"]["server.address"] == "shop.example"
        assert span["attributes"]["server.port"] == 443


def test_recording_that_fails_does_not_touch_the_application(engine: Any) -> None:
    def route(scope: Any) -> str:
        raise RuntimeError("bad route")

    with under_uvicorn(coati.asgi.Middleware(application(), route=route)) as url:
        assert httpx.get(f"{url}/users/1", timeout=120).text == "hello"
        assert httpx.get(f"{url}/users/1", timeout=120).text == "hello"
        records = recorded(engine, 2)
    (told,) = [record for record in records if record.get("logger") == "coati.asgi"]
    assert told["exception.message"] == "bad route"


def test_without_an_engine_requests_are_served() -> None:
    coati.shutdown(60)
    with under_uvicorn(coati.asgi.Middleware(application())) as url:
        assert httpx.get(f"{url}/users/1", timeout=120).text == "hello"
        assert httpx.get(f"{url}/stream", timeout=120).text == "piece piece piece "


def test_beside_opentelemetrys_own(engine: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    inner = application()
    app = OpenTelemetryMiddleware(
        inner, tracer_provider=provider, exclude_spans=["receive", "send"]
    )
    with under_uvicorn(coati.asgi.Middleware(app)) as url, httpx.Client(timeout=120) as client:
        for path in ("/users/7?page=2", "/users/1?status=404", "/users/1?status=503", "/stream"):
            client.get(url + path, headers={"traceparent": PARENT})
        ours = server_spans(recorded(engine, 4))
        wait_until(lambda: len(exporter.get_finished_spans()) == 4)
    theirs = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
    for mine, other in zip(ours, theirs, strict=True):
        attributes = dict(other.attributes or {})
        # Theirs knows no routes here, and has the port in the address.
        address = str(attributes.pop("server.address"))
        attributes["server.address"] = address.partition(":")[0]
        assert {k: v for k, v in mine["attributes"].items() if k in attributes} == attributes
        assert set(mine["attributes"]) - set(attributes) <= {"http.route"}
        assert mine["status"]["code"] == other.status.status_code.name.lower()
        assert mine["trace_id"] == f"{other.context.trace_id:032x}"
        assert other.parent is not None
        assert mine["parent_span_id"] == f"{other.parent.span_id:016x}"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ""),
        ("a=1&b", "a=1&b"),
        (
            "Token=x&access-token=y;api_key=z",
            "Token=REDACTED&access-token=REDACTED",
        ),
        ("token=abc;def&a=1;b=2;pass=x;y", "token=REDACTED&a=1;b=2;pass=REDACTED"),
        ("user[password]=x&password[]=y&", "user[password]=REDACTED&password[]=REDACTED&"),
        ("u%5Bnew_password%5D=x&x-api-key=y", "u%5Bnew_password%5D=REDACTED&x-api-key=REDACTED"),
        ("oauth_token=x&client_assertion=y", "oauth_token=REDACTED&client_assertion=REDACTED"),
        ("api.key=x&db.pass=y&o[badge]=z", "api.key=REDACTED&db.pass=REDACTED&o[badge]=REDACTED"),
        ("monkey=1&bypass=2&a.b[c]=3;d", "monkey=1&bypass=2&a.b[c]=3;d"),
        ("%74oken=x&tok%65n=y=z", "%74oken=REDACTED&tok%65n=REDACTED"),
        ("tokens=3&token=", "tokens=3&token=REDACTED"),
        ("badge=1&Sig=%41", "badge=REDACTED&Sig=REDACTED"),
    ],
)
def test_queries_lose_their_secrets(query: str, shown: str) -> None:
    assert redacted(query, frozenset({"badge"})) == shown


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a.example", ("a.example", None)),
        ("a.example:81", ("a.example", 81)),
        ("[::1]:81", ("::1", 81)),
        ("[::1]", ("::1", None)),
        ("::1", ("::1", None)),
        ("a:b", ("a", None)),
        ("", ("", None)),
    ],
)
def test_hosts_and_ports(text: str, parts: tuple[str, int | None]) -> None:
    assert host_and_port(text) == parts
