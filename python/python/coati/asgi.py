"""Middleware for ASGI applications: a server span and metrics for each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from coati import attach
from coati._asgi_route import route_of
from coati._http import Request, Seen, Settings

__all__ = ["Middleware"]

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[Any, _Receive, _Send], Awaitable[None]]

_SEEN = "coati.asgi"


class Middleware:
    """Wraps an ASGI application: ``app = coati.asgi.Middleware(app)``, or
    ``app.add_middleware(coati.asgi.Middleware)`` in Starlette and FastAPI.

    A request gets a span of kind server, named by its method and route, by OpenTelemetry's
    semantic conventions for HTTP, and counts in ``http.server.request.duration`` and
    ``http.server.active_requests``. The span is current while the application runs and ends when
    the response has been sent, or the application has given up. A connection of a websocket is one
    span. Lifespan events pass through. Of two middlewares around each other the outer one records.

    Args:
        app: what is wrapped.
        excluded_urls: regular expressions, also as one text with commas; a request whose
            ``scheme://host/path`` one of them is found in is not recorded. ``None`` takes
            ``OTEL_PYTHON_ASGI_EXCLUDED_URLS``, else ``OTEL_PYTHON_EXCLUDED_URLS``.
        redact: parameters of queries whose values are withheld, beside the usual names.
        route: tells the route of a scope once it is known; ``None`` knows Starlette's, FastAPI's
            and Litestar's ways, and ``scope["coati.route"]``, which any program may set.
        forwarded: whether ``Forwarded`` and ``X-Forwarded-*`` headers are believed. Only for
            servers that are reached through a proxy which sets them.
    """

    def __init__(
        self,
        app: _App,
        *,
        excluded_urls: str | Iterable[str] | None = None,
        redact: Iterable[str] = (),
        route: Callable[[Any], str | None] | None = None,
        forwarded: bool = False,
    ) -> None:
        self.app = app
        self._settings = Settings("asgi", excluded_urls, redact, route or route_of, forwarded)

    async def __call__(self, scope: Any, receive: _Receive, send: _Send) -> None:
        """Handle what the server hands over."""
        exchange = None
        if scope["type"] in {"http", "websocket"} and _SEEN not in scope:
            exchange = self._begin(scope, receive, send)
        if exchange is None:
            return await self.app(scope, receive, send)
        request = exchange.request
        token = attach(request.span)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.raised(error)
            raise
        finally:
            exchange.end()
            token.detach()

    def _begin(self, scope: Any, receive: _Receive, send: _Send) -> _Exchange | None:
        try:
            seen = _look_at(scope)
            if self._settings.forwarded:
                seen.believe()
            if self._settings.excluded and self._settings.excluded.search(seen.url()):
                return None
            scope[_SEEN] = True
            websocket = scope["type"] == "websocket"
            request = Request(self._settings, seen, measured=not websocket)
            kind = _Websocket if websocket else _Exchange
            return kind(self._settings, request, scope, receive, send)
        except Exception as error:
            self._settings.failed(error)
            return None


def _look_at(scope: Any) -> Seen:
    seen = Seen()
    seen.method = scope.get("method", "GET")
    seen.scheme = scope.get("scheme", "ws" if scope["type"] == "websocket" else "http")
    seen.path = scope.get("path", "/")
    seen.query = (scope.get("query_string") or b"").decode("latin-1")
    seen.version = scope.get("http_version", "")
    seen.server = _pair(scope.get("server"))
    seen.client = _pair(scope.get("client"))
    seen.headers = headers = scope.get("headers") or ()
    for name, value in headers:
        if name == b"host":
            seen.host = value.decode("latin-1")
        elif name == b"user-agent":
            seen.user_agent = value.decode("latin-1")
        elif name == b"forwarded" or name.startswith(b"x-forwarded-"):
            seen.forwarded.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return seen


def _pair(address: Any) -> tuple[str, int | None] | None:
    return (str(address[0]), address[1]) if address else None


class _Exchange:
    """One request and what passes between the server and the application."""

    def __init__(
        self, settings: Settings, request: Request, scope: Any, receive: _Receive, send: _Send
    ) -> None:
        self.request = request
        self._settings = settings
        self._scope = scope
        self._receive = receive
        self._send = send
        self._routed = False
        self._trailers = False
        self._gone = False

    async def receive(self) -> _Message:
        """What the client sends."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and self.request.open:
            self._gone = True
        return message

    async def send(self, message: _Message) -> None:
        """What the application answers."""
        kind = message["type"]
        if kind == "http.response.start":
            self._trailers = bool(message.get("trailers"))
            self._answered(message.get("status", 0))
        try:
            await self._send(message)
        except OSError:
            # The client has gone, by version 2.4 of the specification.
            self._gone = True
            raise
        if self._is_last(kind, message):
            self.request.end()

    def _is_last(self, kind: str, message: _Message) -> bool:
        if kind == "http.response.body":
            return not message.get("more_body") and not self._trailers
        if kind == "http.response.trailers":
            return not message.get("more_trailers")
        return kind == "http.response.pathsend" and not self._trailers

    def _answered(self, status: int) -> None:
        self._route()
        self.request.answered(status)

    def _route(self) -> None:
        if self._routed or not self._settings.route:
            return
        self._routed = True
        try:
            self.request.routed(self._settings.route(self._scope))
        except Exception as error:
            self._settings.failed(error)

    def raised(self, error: BaseException) -> None:
        """The application gave up."""
        self._route()
        if self._gone or isinstance(error, GeneratorExit):
            return
        self.request.failed(error)

    def end(self) -> None:
        """The application is done."""
        self._route()
        if self._gone and self.request.open:
            # There is no name of OpenTelemetry's for a client that did not wait.
            self.request.span.set_attribute("coati.http.client_gone", True)
        self.request.end()


class _Websocket(_Exchange):
    """One connection of a websocket."""

    _accepted = False
    _received = 0
    _sent = 0

    async def receive(self) -> _Message:
        message = await self._receive()
        kind = message["type"]
        if kind == "websocket.receive":
            self._received += 1
        elif kind == "websocket.disconnect":
            self._closed(message.get("code", 1005))
            self._gone = True
        return message

    async def send(self, message: _Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accepted = True
            self._answered(101)
        elif kind == "websocket.send":
            self._sent += 1
        elif kind == "websocket.close":
            if self._accepted:
                self._closed(message.get("code", 1000))
            else:
                self._answered(403)
        elif kind == "websocket.http.response.start":
            self._answered(message.get("status", 0))
        await self._send(message)

    def _closed(self, code: int) -> None:
        self.request.span.set_attribute("coati.websocket.close_code", code)
        if code == 1011:
            self.request.failed_as("1011")

    def end(self) -> None:
        self._gone = False
        self.request.span.set_attributes(
            {
                "coati.websocket.messages_received": self._received,
                "coati.websocket.messages_sent": self._sent,
            }
        )
        super().end()
