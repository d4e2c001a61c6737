"""What the servers' middleware has in common: a request as a span and in metrics, by
OpenTelemetry's semantic conventions for HTTP."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_plus

from coati import extract, get_logger, get_tracer, histogram, up_down_counter

_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

#: Parameters of a query whose values are never recorded, without regard to case, `-` and `_`,
#: and at any level, as in `user[key]` and `user.key`.
_NAMES = (
    "assertion auth authorization awsaccesskeyid bearer code credentials jwt key pass pwd "
    "sessionid sig"
)
_SECRETS = frozenset(_NAMES.split())
#: What such names end with.
_ENDINGS = (
    "accesskey apikey clientassertion credential passphrase passwd password privatekey secret "
    "secretkey sessionkey signature signingkey token"
)
_ENDS = tuple(_ENDINGS.split())
_LEVELS = re.compile(r"[\[\].]+")
_BETWEEN = str.maketrans("", "", "-_.[]")

Route = Callable[[Any], "str | None"]


def redacted(query: str, more: frozenset[str] = frozenset()) -> str:
    """A query string without the values of parameters that hold secrets."""

    parts = query.split("&")
    return "&".join([_redacted(part, more) if "=" in part else part for part in parts])


def _redacted(part: str, more: frozenset[str]) -> str:
    # Some servers take `;` for the end of a value: a name may follow it, and what follows a secret
    # may be the rest of it.
    pieces = part.split(";")
    for place, piece in enumerate(pieces):
        name, equals, _ = piece.partition("=")
        if equals and _is_secret(unquote_plus(name), more):
            return ";".join([*pieces[:place], f"{name}=REDACTED"])
    return part


def _is_secret(name: str, more: frozenset[str]) -> bool:
    for one in (name, *_LEVELS.split(name)):
        known = plain(one)
        if known in _SECRETS or known in more or known.endswith(_ENDS):
            return True
    return False


def plain(name: str) -> str:
    """A parameter's name as secrets are looked up by."""
    return name.strip().lower().translate(_BETWEEN)


def host_and_port(text: str) -> tuple[str, int | None]:
    """The two halves of `host:port`, `host`, or `[v6]:port`."""
    host, colon, port = text.rpartition(":")
    if not colon or host.endswith(":") or (":" in host and not host.endswith("]")):
        host, port = text, ""
    digits = port.isascii() and port.isdigit()
    return host.strip("[]"), int(port) if digits and len(port) < 6 else None


def kind_of(error: BaseException) -> str:
    """The name of its class, as events of exceptions have it."""
    cls = type(error)
    module = cls.__module__
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"


def text_of(error: BaseException) -> str:
    """What it says, as far as it can."""
    try:
        return str(error)
    except Exception:
        return f"<unprintable {type(error).__name__}>"


class Settings:
    """What a middleware was made with."""

    def __init__(
        self,
        name: str,
        excluded_urls: str | Iterable[str] | None,
        redact: Iterable[str],
        route: Route | None,
        forwarded: bool,
    ) -> None:
        variables = (f"OTEL_PYTHON_{name.upper()}_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS")
        if excluded_urls is None:
            found = (os.environ.get(variable) for variable in variables)
            excluded_urls = next((value for value in found if value), "")
        if isinstance(excluded_urls, str):
            excluded_urls = excluded_urls.split(",")
        patterns = [pattern.strip() for pattern in excluded_urls if pattern.strip()]
        self.excluded = re.compile("|".join(f"(?:{p})" for p in patterns)) if patterns else None
        self.redact = frozenset(plain(name) for name in redact)
        self.route = route
        self.forwarded = forwarded
        self.tracer = get_tracer(f"coati.{name}")
        self.log = get_logger(f"coati.{name}")
        self.duration = histogram(
            "http.server.request.duration", "s", "Duration of HTTP server requests", _BUCKETS
        )
        self.active = up_down_counter(
            "http.server.active_requests", "{request}", "Number of active HTTP server requests"
        )
        self._told = False

    def failed(self, error: Exception) -> None:
        """Tell once that recording went wrong; the program goes on without."""
        if not self._told:
            self._told = True
            self.log.warning("a request could not be recorded", exc_info=error)


class Seen:
    """What is known of a request before it is handled."""

    __slots__ = (
        "client",
        "forwarded",
        "headers",
        "host",
        "method",
        "path",
        "query",
        "scheme",
        "server",
        "user_agent",
        "version",
    )

    def __init__(self) -> None:
        self.method = "GET"
        self.scheme = "http"
        self.path = "/"
        self.query = ""
        self.version = ""
        self.host = ""
        self.user_agent = ""
        self.server: tuple[str, int | None] | None = None
        self.client: tuple[str, int | None] | None = None
        #: `Forwarded` and the `X-Forwarded-` headers, by name.
        self.forwarded: dict[str, str] = {}
        self.headers: Any = None

    def believe(self) -> None:
        """Take client, scheme and host from what proxies have said."""
        said = self.forwarded
        pairs = (part.partition("=") for part in said.get("forwarded", "").split(",")[0].split(";"))
        first = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
        client = first.get("for") or said.get("x-forwarded-for", "").split(",")[0].strip()
        if client:
            self.client = host_and_port(client)
        scheme = first.get("proto") or said.get("x-forwarded-proto", "").split(",")[0].strip()
        if scheme.lower() in {"http", "https"}:
            websocket = self.scheme in {"ws", "wss"}
            self.scheme = scheme.lower().replace("http", "ws" if websocket else "http")
        host = first.get("host") or said.get("x-forwarded-host", "").split(",")[0].strip()
        self.host = host or self.host

    def url(self) -> str:
        """Scheme, host and path."""
        return f"{self.scheme}://{self.host}{self.path}"

    def attributes(self, secrets: frozenset[str]) -> dict[str, Any]:
        """As attributes of a span."""
        method = self.method if self.method in _METHODS else "_OTHER"
        found: dict[str, Any] = {
            "http.request.method": method,
            "url.scheme": self.scheme,
            "url.path": self.path,
        }
        if method != self.method:
            found["http.request.method_original"] = self.method
        if self.query:
            found["url.query"] = redacted(self.query, secrets)
        address, port = host_and_port(self.host) if self.host else self.server or ("", None)
        if address:
            found["server.address"] = address
            found["server.port"] = port or _PORTS.get(self.scheme, 80)
        if self.version:
            found["network.protocol.version"] = self.version
        if self.client and self.client[0]:
            found["client.address"] = self.client[0]
            if self.client[1]:
                found["client.port"] = self.client[1]
        if self.user_agent:
            found["user_agent.original"] = self.user_agent
        return found


class Request:
    """A request under way: its span, its place among the active ones."""

    __slots__ = ("_active", "_labels", "_settings", "_started", "name", "open", "span")

    def __init__(self, settings: Settings, seen: Seen, measured: bool = True) -> None:
        attributes = seen.attributes(settings.redact)
        method = attributes["http.request.method"]
        self.name = "HTTP" if method == "_OTHER" else method
        self.open = True
        self._settings = settings
        remote = extract(seen.headers)
        self.span = settings.tracer.start_span(
            self.name,
            kind="server",
            parent=remote if remote.is_valid or remote.baggage else None,
            attributes=attributes,
        )
        labels = {"http.request.method": method, "url.scheme": attributes["url.scheme"]}
        self._active = labels if measured else None
        self._labels: dict[str, Any] = dict(labels)
        if seen.version:
            self._labels["network.protocol.version"] = seen.version
        if measured:
            settings.active.add(1, **labels)
        self._started = time.perf_counter()

    def routed(self, route: str | None) -> None:
        """The framework has told which route it is."""
        if route and self.open:
            self._labels["http.route"] = route
            self.span.set_attribute("http.route", route)
            self.span.update_name(f"{self.name} {route}")

    def answered(self, status: int) -> None:
        """The response has this status."""
        if not self.open:
            return
        self._labels["http.response.status_code"] = status
        self.span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._labels["error.type"] = str(status)
            self.span.set_attribute("error.type", str(status))
            self.span.set_status("error")

    def failed(self, error: BaseException) -> None:
        """The application raised."""
        if self.open:
            self.span.record_exception(error)
            self.failed_as(kind_of(error), text_of(error))

    def failed_as(self, kind: str, description: str = "") -> None:
        """Something went wrong that is no exception."""
        if self.open:
            self._labels["error.type"] = kind
            self.span.set_attribute("error.type", kind)
            self.span.set_status("error", description)

    def end(self) -> None:
        """It is over; later calls do nothing. Inside its span, for the exemplar of the value."""
        if not self.open:
            return
        self.open = False
        if self._active is not None:
            took = time.perf_counter() - self._started
            self._settings.active.add(-1, **self._active)
            self._settings.duration.record(took, **self._labels)
        self.span.end()
