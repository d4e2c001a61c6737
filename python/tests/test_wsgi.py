"""Middleware for WSGI: applications of Flask and without a framework behind real servers."""

from __future__ import annotations

import contextlib
import io
import signal
import socket
import subprocess
import sys
import threading
import wsgiref.simple_server
import wsgiref.util
import wsgiref.validate
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import coati
import coati.wsgi
import flask
import httpx
import pytest
import werkzeug.serving
from conftest import wait_until
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

log = coati.get_logger("app")
TRACE = "0123456789abcdef0123456789abcdef"
PARENT = f"00-{TRACE}-0123456789abcdef-01"


class Body:
    """Three pieces, each with a log line, and how it was closed."""

    def __init__(self, fail: bool = False) -> None:
        self.fail = fail
        self.closed: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        for number in range(3):
            log.info("piece", number=number)
            yield b"piece "
        if self.fail:
            raise OverflowError("too much")

    def close(self) -> None:
        log.info("closed")
        self.closed.append(coati.current_span().span_id)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise LookupError("no such thing")
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body()
    if path == "/broken":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body(fail=True)
    if path == "/late":
        return late(start_response)
    if path == "/file":
        start_response("200 OK", [("Content-Type", "text/plain")])
        # Not every server has one.
        wrapper = environ.get("wsgi.file_wrapper", wsgiref.util.FileWrapper)
        return wrapper(io.BytesIO(b"a file"))  # type: ignore[no-any-return]
    log.info("handled", baggage=coati.baggage.get("tenant"))
    status = environ["QUERY_STRING"].partition("status=")[2] or "200"
    environ["coati.route"] = "/users/{id}"
    start_response(f"{status} Whatever", [("Content-Type", "text/plain")])
    return [b"hello"]


def late(start_response: Any) -> Iterator[bytes]:
    """Answers only when the server asks for the body."""
    log.info("late")
    start_response("418 I'm a teapot", [("Content-Type", "text/plain")])
    yield b"late"


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving(server: Any) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(120)
        server.server_close()


def under_wsgiref(app: Any) -> Any:
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=QuietHandler)
    return serving(server)


def under_werkzeug(app: Any) -> Any:
    return serving(werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True))


SERVERS = pytest.mark.parametrize("serve", [under_wsgiref, under_werkzeug])


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


def metrics(name: str) -> list[Any]:
    return [metric for metric in coati.metrics.snapshot() if metric.name == name]


@SERVERS
def test_a_request_by_the_conventions(engine: Any, serve: Callable[[Any], Any]) -> None:
    with serve(coati.wsgi.Middleware(application)) as url:
        headers = {"traceparent": PARENT, "baggage": "tenant=t1", "user-agent": "tester/1"}
        query = "api_key=s3cret&page=2"
        answer = httpx.get(f"{url}/users/ü?{query}", headers=headers, timeout=120)
        assert answer.text == "hello"
        # By the number of pieces the server knows the length of the body.
        assert serve is under_werkzeug or answer.headers["content-length"] == "5"
        records = recorded(engine, 1)
    (span,) = server_spans(records)
    attributes = span["attributes"]
    assert serve is under_wsgiref or attributes.pop("client.port") > 0
    assert attributes.pop("network.protocol.version") in {"1.0", "1.1"}
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/users/{id}",
        "url.scheme": "http",
        "url.path": "/users/ü",
        "url.query": "api_key=REDACTED&page=2",
        "server.address": "127.0.0.1",
        "server.port": int(url.rpartition(":")[2]),
        "client.address": "127.0.0.1",
        "user_agent.original": "tester/1",
    }
    assert span["span"] == "GET /users/{id}"
    assert span["status"] == {"code": "unset"}
    assert (span["trace_id"], span["parent_span_id"]) == (TRACE, "0123456789abcdef")
    (line,) = [record for record in records if "message" in record]
    assert (line["span_id"], line["baggage"]) == (span["span_id"], "t1")
    (duration,) = metrics("http.server.request.duration")
    assert duration.labels.pop("network.protocol.version", None)
    assert duration.labels["http.route"] == "/users/{id}"
    assert duration.stats.count == 1
    assert 0 < duration.stats.sum <= span["duration_ns"] / 1e9 + 0.001
    assert [metric.value for metric in metrics("http.server.active_requests")] == [0]


@SERVERS
def test_status_and_errors(engine: Any, serve: Callable[[Any], Any]) -> None:
    with serve(coati.wsgi.Middleware(application)) as url, httpx.Client(timeout=120) as client:
        for path in ("/users/1?status=404", "/users/1?status=503", "/boom", "/late"):
            client.get(url + path)
        with contextlib.suppress(httpx.RemoteProtocolError):
            client.get(f"{url}/broken")
        spans = server_spans(recorded(engine, 5))
    missing, unavailable, failed, teapot, broken = spans
    assert missing["status"] == {"code": "unset"}
    assert "error.type" not in missing["attributes"]
    assert unavailable["status"] == {"code": "error"}
    assert unavailable["attributes"]["error.type"] == "503"
    assert failed["status"] == {"code": "error", "description": "no such thing"}
    assert failed["attributes"]["error.type"] == "LookupError"
    assert failed["span"] == "GET"
    assert teapot["attributes"]["http.response.status_code"] == 418
    assert broken["attributes"]["error.type"] == "OverflowError"
    assert broken["attributes"]["http.response.status_code"] == 200
    errors = {m.labels.get("error.type") for m in metrics("http.server.request.duration")}
    assert errors == {None, "503", "LookupError", "OverflowError"}
    assert [metric.value for metric in metrics("http.server.active_requests")] == [0]


@SERVERS
def test_a_body_in_pieces_is_inside_its_span(engine: Any, serve: Callable[[Any], Any]) -> None:
    with serve(coati.wsgi.Middleware(application)) as url:
        assert httpx.get(f"{url}/stream", timeout=120).text == "piece piece piece "
        records = recorded(engine, 1)
        (span,) = server_spans(records)
        lines = [record for record in records if "message" in record]
        assert [line["message"] for line in lines] == ["piece"] * 3 + ["closed"]
        assert {line["span_id"] for line in lines} == {span["span_id"]}
        assert max(line["timestamp"] for line in lines) <= span["end"]
        assert httpx.get(f"{url}/file", timeout=120).text == "a file"
        (span,) = server_spans(recorded(engine, 1))
    assert span["attributes"]["url.path"] == "/file"
    assert [metric.value for metric in metrics("http.server.active_requests")] == [0]


def test_the_contract_between_server_and_application_is_kept(engine: Any) -> None:
    def lawful(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written ")
        return [b"and given"]

    inner = wsgiref.validate.validator(lawful)
    with under_wsgiref(wsgiref.validate.validator(coati.wsgi.Middleware(inner))) as url:
        assert httpx.get(url, timeout=120).text == "written and given"
        recorded(engine, 1)


@pytest.mark.parametrize("late", [False, True])
def test_exceptions_without_a_text_stay_what_they_are(engine: Any, late: bool) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise Unprintable

    def failing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not late:
            raise Unprintable
        start_response("200 OK", [])
        return pieces()

    environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "PATH_INFO": "/"}

    def serve() -> None:
        body: Any = coati.wsgi.Middleware(failing)(environ, lambda *_: None)
        with contextlib.closing(body):
            list(body)

    with pytest.raises(Unprintable):
        serve()
    (span,) = engine.spans()
    assert span["status"] == {"code": "error", "description": "<unprintable Unprintable>"}
    assert [metric.value for metric in metrics("http.server.active_requests")] == [0]


def test_servers_that_break_off(engine: Any) -> None:
    environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "PATH_INFO": "/stream"}
    app = coati.wsgi.Middleware(application)
    closed = app(dict(environ), lambda *_: None)
    assert next(iter(closed)) == b"piece "
    assert not engine.spans()
    closed.close()  # type: ignore[attr-defined]
    closed.close()  # type: ignore[attr-defined]
    assert len(engine.spans()) == 1
    forgotten = app(dict(environ), lambda *_: None)
    assert next(iter(forgotten)) == b"piece "
    del forgotten
    assert len(engine.spans()) == 1
    assert [metric.value for metric in metrics("http.server.active_requests")] == [0]
    assert coati.current_span().span_id == "0" * 16


def test_an_answer_that_is_replaced_by_an_error(engine: Any) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError("bad")
        except ValueError:
            start_response("500 Oh", [], sys.exc_info())
        return [b""]

    started: list[Any] = []
    body = coati.wsgi.Middleware(app)({"PATH_INFO": "/"}, lambda *given: started.append(given))
    list(body)
    body.close()  # type: ignore[attr-defined]
    span = engine.span()
    assert [len(given) for given in started] == [2, 3]
    assert span["attributes"]["http.response.status_code"] == 500
    assert span["status"]["code"] == "error"
    assert span["events"][0]["attributes"]["exception.message"] == "bad"


def test_flask(engine: Any) -> None:
    app = flask.Flask("shop")

    @app.get("/orders/<int:order>/lines")
    def lines(order: int) -> str:
        log.info("asked", order=order)
        return str(order)

    @app.get("/boom")
    def boom() -> str:
        raise LookupError("no such thing")

    app.wsgi_app = coati.wsgi.Middleware(app.wsgi_app)  # type: ignore[method-assign]
    app.logger.disabled = True
    with under_werkzeug(app) as url, httpx.Client(timeout=120) as client:
        assert client.get(f"{url}/orders/5/lines").text == "5"
        assert client.get(f"{url}/nowhere").status_code == 404
        assert client.get(f"{url}/boom").status_code == 500
        records = recorded(engine, 3)
    found, missing, failed = server_spans(records)
    assert found["span"] == "GET /orders/<int:order>/lines"
    (line,) = [record for record in records if record.get("message") == "asked"]
    assert line["span_id"] == found["span_id"]
    assert missing["span"] == "GET"
    assert (failed["span"], failed["status"]) == ("GET /boom", {"code": "error"})


def test_exclusion_proxies_and_two_middlewares(engine: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OTEL_PYTHON_WSGI_EXCLUDED_URLS", "healthz$")
    app = coati.wsgi.Middleware(coati.wsgi.Middleware(application), forwarded=True)
    said = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
    with under_werkzeug(app) as url:
        for path in ("/healthz", "/users/1"):
            httpx.get(url + path, headers={**said, "host": "shop.example"}, timeout=120)
        (span,) = server_spans(recorded(engine, 1))
    attributes = span["attributes"]
    assert attributes["client.address"] == "203.0.113.9"
    assert (attributes["server.address"], attributes["server.port"]) == ("shop.example", 443)


SERVED = """
import coati, coati.wsgi
coati.init("web", config={"sinks": [SINK]})
log = coati.get_logger("app")

def pieces():
    for number in range(3):
        log.info("piece", number=number)
        yield b"piece "

def bare(environ, start_response):
    environ["coati.route"] = "/pieces"
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    return pieces()

application = coati.wsgi.Middleware(bare)
"""


def test_gunicorn(program: Any) -> None:
    sink = {"type": "file", "path": str(program.folder / "out.jsonl")}
    (program.folder / "served.py").write_text(f"SINK = {sink!r}\n{SERVED}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "2"]
        command += ["--timeout", "300", "--bind", f"fd://{listener.fileno()}", "served"]
        with subprocess.Popen(
            command,
            cwd=program.folder,
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            try:
                for _ in range(3):
                    answer = httpx.get(url, headers={"traceparent": PARENT}, timeout=120)
                    assert answer.text == "piece piece piece "
                served = httpx.get(f"{url}/file", timeout=120).text
                assert served == (program.folder / "served.py").read_text()
                server.send_signal(signal.SIGTERM)
                _, errors = server.communicate(timeout=300)
            finally:
                server.kill()
        assert server.returncode == 0, errors
    records = program.records()
    spans = server_spans(records)
    assert [span["span"] for span in spans] == ["GET /pieces"] * 4
    assert [span["trace_id"] == TRACE for span in spans] == [True] * 3 + [False]
    pieces = [record["span_id"] for record in records if record.get("message") == "piece"]
    assert pieces == [span["span_id"] for span in spans[:3] for _ in range(3)]


def test_beside_opentelemetrys_own(engine: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = OpenTelemetryMiddleware(application, tracer_provider=provider)
    paths = ("/users/7?page=2", "/users/1?status=404", "/users/1?status=503", "/stream", "/boom")
    with under_wsgiref(coati.wsgi.Middleware(app)) as url:
        for path in paths:
            httpx.get(url + path, headers={"traceparent": PARENT}, timeout=120)
        ours = server_spans(recorded(engine, len(paths)))
        wait_until(lambda: len(exporter.get_finished_spans()) == len(paths))
    theirs = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
    for mine, other in zip(ours, theirs, strict=True):
        attributes = dict(other.attributes or {})
        # Theirs has the port in the address.
        address = str(attributes.pop("server.address"))
        attributes["server.address"] = address.partition(":")[0]
        assert {k: v for k, v in mine["attributes"].items() if k in attributes} == attributes
        # Theirs knows no routes here, and leaves path and query out.
        assert set(mine["attributes"]) - set(attributes) <= {"http.route", "url.path", "url.query"}
        assert mine["status"]["code"] == other.status.status_code.name.lower()
        assert mine["trace_id"] == f"{other.context.trace_id:032x}"
        assert other.parent is not None
        assert mine["parent_span_id"] == f"{other.parent.span_id:016x}"
