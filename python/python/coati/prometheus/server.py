"""Servers and applications that hand out a registry."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from coati.prometheus.exposition import choose_encoder
from coati.prometheus.registry import REGISTRY

__all__ = [
    "MetricsHandler",
    "make_asgi_app",
    "make_wsgi_app",
    "start_http_server",
    "start_wsgi_server",
]

_Headers = list[tuple[str, str]]


def _page(
    registry: Any,
    accept: str | None,
    encodings: str | None,
    parameters: Mapping[str, list[str]],
    compress: bool,
) -> tuple[_Headers, bytes]:
    encode, content_type = choose_encoder(accept)
    if "name[]" in parameters:
        registry = registry.restricted_registry(parameters["name[]"])
    page = encode(registry)
    headers = [("Content-Type", content_type)]
    if compress and _takes_gzip(encodings):
        page = gzip.compress(page)
        headers.append(("Content-Encoding", "gzip"))
    return headers, page


def _takes_gzip(encodings: str | None) -> bool:
    named = (part.split(";")[0].strip().lower() for part in (encodings or "").split(","))
    return "gzip" in named


def make_wsgi_app(
    registry: Any = REGISTRY, disable_compression: bool = False
) -> Callable[..., Any]:
    """A WSGI application that answers with a registry, at any path."""

    def prometheus_app(environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        method, headers, page = environ["REQUEST_METHOD"], [("Allow", "OPTIONS,GET")], b""
        status = "200 OK"
        if method == "GET" and environ["PATH_INFO"] == "/favicon.ico":
            headers = []
        elif method == "GET":
            headers, page = _page(
                registry,
                environ.get("HTTP_ACCEPT"),
                environ.get("HTTP_ACCEPT_ENCODING"),
                parse_qs(environ.get("QUERY_STRING", "")),
                not disable_compression,
            )
        elif method != "OPTIONS":
            status = "405 Method Not Allowed"
            page = f"# HTTP {status}: {method}; use OPTIONS or GET\n".encode()
        start_response(status, headers)
        return [page]

    return prometheus_app


def make_asgi_app(
    registry: Any = REGISTRY, disable_compression: bool = False
) -> Callable[..., Awaitable[None]]:
    """An ASGI application that answers with a registry, at any path."""

    async def prometheus_app(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        assert scope.get("type") == "http"

        def header(wanted: bytes) -> str:
            all_headers = scope.get("headers") or ()
            values = [value.decode() for name, value in all_headers if name.lower() == wanted]
            return ",".join(values)

        headers, page = _page(
            registry,
            header(b"accept"),
            header(b"accept-encoding"),
            parse_qs(scope.get("query_string", b"").decode()),
            not disable_compression,
        )
        request = await receive()
        if request.get("type") == "http.request":
            encoded = [(name.encode(), value.encode()) for name, value in headers]
            await send({"type": "http.response.start", "status": 200, "headers": encoded})
            await send({"type": "http.response.body", "body": page})

    return prometheus_app


class MetricsHandler(BaseHTTPRequestHandler):
    """A handler of the standard library's HTTP server that answers with ``registry``."""

    registry: Any = REGISTRY

    def do_GET(self) -> None:
        """Answer."""
        headers, page = _page(
            self.registry,
            self.headers.get("Accept"),
            self.headers.get("Accept-Encoding"),
            parse_qs(urlsplit(self.path).query),
            True,
        )
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    @classmethod
    def factory(cls, registry: Any) -> type[MetricsHandler]:
        """A handler for another registry."""
        return type(cls.__name__, (cls,), {"registry": registry})


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request, which does not keep the process alive."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def start_http_server(
    port: int,
    addr: str = "0.0.0.0",
    registry: Any = REGISTRY,
    certfile: str | None = None,
    keyfile: str | None = None,
    client_cafile: str | None = None,
    client_capath: str | None = None,
    protocol: int = ssl.PROTOCOL_TLS_SERVER,
    client_auth_required: bool = False,
    tls_min_version: ssl.TLSVersion | None = None,
    tls_max_version: ssl.TLSVersion | None = None,
) -> tuple[WSGIServer, threading.Thread]:
    """Serve a registry in a thread that does not keep the process alive.

    Returns:
        The server, to be shut down and closed, and its thread.
    """
    found = socket.getaddrinfo(addr, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    server_class = type("_Server", (_Server,), {"address_family": family})
    app = make_wsgi_app(registry)
    server: WSGIServer = make_server(str(address[0]), port, app, server_class, handler_class=_Quiet)
    if certfile and keyfile:
        try:
            context = _context(protocol, certfile, keyfile, client_cafile, client_capath)
            if client_auth_required:
                context.verify_mode = ssl.CERT_REQUIRED
            if tls_min_version is not None:
                context.minimum_version = tls_min_version
            if tls_max_version is not None:
                context.maximum_version = tls_max_version
            server.socket = context.wrap_socket(server.socket, server_side=True)
        except BaseException:
            server.server_close()
            raise
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    return server, thread


start_wsgi_server = start_http_server


def _context(
    protocol: int, certfile: str, keyfile: str, cafile: str | None, capath: str | None
) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    try:
        if cafile is not None or capath is not None:
            context.load_verify_locations(cafile, capath)
        else:
            context.load_default_certs(purpose=ssl.Purpose.CLIENT_AUTH)
    except OSError as error:
        where = f"from file {cafile!r} or directory {capath!r}"
        told = f"Cannot load CA certificate chain {where}: {error}"
        raise type(error)(told) from error
    try:
        context.load_cert_chain(certfile, keyfile)
    except OSError as error:
        told = (
            f"Cannot load server certificate file {certfile!r} or its private key file "
            f"{keyfile!r}: {error}"
        )
        raise type(error)(told) from error
    return context
