"""Middleware for WSGI applications: a server span and metrics for each request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from coati import attach
from coati._http import Request, Seen, Settings

__all__ = ["Middleware"]

_SEEN = "coati.wsgi"
_App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Middleware:
    """Wraps a WSGI application: ``app = coati.wsgi.Middleware(app)``, in Flask
    ``app.wsgi_app = coati.wsgi.Middleware(app.wsgi_app)``.

    As ``coati.asgi.Middleware``: a span of kind server, named by its method and route, and the
    metrics of OpenTelemetry's conventions. The span is current while the application runs and while
    it makes the body, and ends when the server closes the response: it has been sent then, or the
    client has gone.

    Args:
        app: what is wrapped.
        excluded_urls: regular expressions, also as one text with commas; a request whose
            ``scheme://host/path`` one of them is found in is not recorded. ``None`` takes
            ``OTEL_PYTHON_WSGI_EXCLUDED_URLS``, else ``OTEL_PYTHON_EXCLUDED_URLS``.
        redact: parameters of queries whose values are withheld, beside the usual names.
        route: tells the route of an environment once the response starts; ``None`` knows Flask's
            and Bottle's ways, and ``environ["coati.route"]``, which any program may set.
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
        self._settings = Settings("wsgi", excluded_urls, redact, route or _route_of, forwarded)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Handle a request."""
        request = None if _SEEN in environ else self._begin(environ)
        if request is None:
            return self.app(environ, start_response)
        token = attach(request.span)
        try:
            body = self.app(environ, self._answering(request, environ, start_response))
            watched: Iterable[bytes] = _watched(body, request, environ)
            return watched
        except BaseException as error:
            self._route(request, environ)
            request.failed(error)
            request.end()
            raise
        finally:
            token.detach()

    def _begin(self, environ: dict[str, Any]) -> Request | None:
        try:
            seen = _look_at(environ)
            if self._settings.forwarded:
                seen.believe()
            if self._settings.excluded and self._settings.excluded.search(seen.url()):
                return None
            environ[_SEEN] = True
            return Request(self._settings, seen)
        except Exception as error:
            self._settings.failed(error)
            return None

    def _route(self, request: Request, environ: dict[str, Any]) -> None:
        try:
            request.routed(self._settings.route(environ) if self._settings.route else None)
        except Exception as error:
            self._settings.failed(error)

    def _answering(self, request: Request, environ: dict[str, Any], start_response: Any) -> Any:
        def answering(status: str, headers: Any, exc_info: Any = None) -> Any:
            self._route(request, environ)
            code = status[:3]
            if code.isascii() and code.isdigit():
                request.answered(int(code))
            if exc_info is None:
                return start_response(status, headers)
            if exc_info[1] is not None:
                request.span.record_exception(exc_info[1])
            return start_response(status, headers, exc_info)

        return answering


def _look_at(environ: dict[str, Any]) -> Seen:
    seen = Seen()
    seen.method = environ.get("REQUEST_METHOD", "GET")
    seen.scheme = environ.get("wsgi.url_scheme", "http")
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    # Bytes as latin-1, by the specification.
    seen.path = path.encode("latin-1", "replace").decode("utf-8", "replace") or "/"
    seen.query = environ.get("QUERY_STRING", "")
    protocol = environ.get("SERVER_PROTOCOL", "")
    seen.version = protocol[5:] if protocol.startswith("HTTP/") else ""
    seen.host = environ.get("HTTP_HOST", "")
    seen.server = (environ.get("SERVER_NAME", ""), _number(environ.get("SERVER_PORT")))
    seen.client = (environ.get("REMOTE_ADDR") or "", _number(environ.get("REMOTE_PORT")))
    seen.user_agent = environ.get("HTTP_USER_AGENT", "")
    seen.headers = environ
    for name in ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"):
        value = environ.get(f"HTTP_{name.upper().replace('-', '_')}")
        if value:
            seen.forwarded[name] = value
    return seen


def _number(text: Any) -> int | None:
    text = str(text or "")
    return int(text) if text.isascii() and text.isdigit() else None


def _route_of(environ: dict[str, Any]) -> str | None:
    told = environ.get("coati.route")
    if told:
        return str(told)
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None) or environ.get("bottle.route")
    found = getattr(rule, "rule", None)
    return found if isinstance(found, str) else None


def _watched(body: Any, request: Request, environ: dict[str, Any]) -> Any:
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        # A server sends such files by the system's own means as long as it sees one.
        try:
            body.close = _closing(getattr(body, "close", None), request)  # type: ignore[attr-defined]
        except AttributeError:
            request.end()
        return body
    return (_SizedBody if hasattr(body, "__len__") else _Body)(body, request)


def _closing(close: Any, request: Request) -> Callable[[], None]:
    def closing() -> None:
        try:
            with attach(request.span):
                if close is not None:
                    close()
        finally:
            _end(request)

    return closing


def _end(request: Request) -> None:
    with attach(request.span):
        request.end()


class _Body:
    """A body that a server takes piece by piece."""

    def __init__(self, body: Any, request: Request) -> None:
        self._body = body
        self._request = request
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        request = self._request
        token = attach(request.span)
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        except StopIteration:
            raise
        except BaseException as error:
            request.failed(error)
            raise
        finally:
            token.detach()

    def close(self) -> None:
        """The server is done with it."""
        _closing(getattr(self._body, "close", None), self._request)()

    def __del__(self) -> None:
        # A server that does not close it, or has gone.
        request: Request | None = getattr(self, "_request", None)
        if request is not None and request.open:
            _end(request)


class _SizedBody(_Body):
    """A body that says how many pieces it has, by which servers find its length."""

    def __len__(self) -> int:
        return len(self._body)
