"""A receiver of OTLP over HTTP and gRPC that keeps what it is sent, decoded."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

REQUESTS: dict[str, Any] = {
    "/v1/traces": trace.ExportTraceServiceRequest,
    "/v1/logs": logs.ExportLogsServiceRequest,
    "/v1/metrics": metrics.ExportMetricsServiceRequest,
}


class Receiver:
    """Two servers and what they took."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.encodings: set[str] = set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self._grpc = grpc.server(futures.ThreadPoolExecutor(2))
        self._serve_grpc()
        self.grpc = f"http://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                coding = self.headers.get("Content-Encoding")
                receiver.encodings.add(f"{self.headers['Content-Type']} {coding}")
                if coding == "gzip":
                    body = gzip.decompress(body)
                request = REQUESTS[self.path]()
                if self.headers["Content-Type"] == "application/json":
                    Parse(as_base64_ids(body), request)
                else:
                    request.ParseFromString(body)
                receiver.requests.append(request)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _serve_grpc(self) -> None:
        def export(answer: Any) -> Any:
            def take(_: object, request: Any, context: grpc.ServicerContext) -> Any:
                self.encodings.add("grpc")
                self.requests.append(request)
                return answer()

            return take

        for service, register, answer in (
            (
                trace_grpc.TraceServiceServicer,
                trace_grpc.add_TraceServiceServicer_to_server,
                trace.ExportTraceServiceResponse,
            ),
            (
                logs_grpc.LogsServiceServicer,
                logs_grpc.add_LogsServiceServicer_to_server,
                logs.ExportLogsServiceResponse,
            ),
            (
                metrics_grpc.MetricsServiceServicer,
                metrics_grpc.add_MetricsServiceServicer_to_server,
                metrics.ExportMetricsServiceResponse,
            ),
        ):
            taking = type("Taking", (service,), {"Export": export(answer)})
            register(taking(), self._grpc)

    def take(self, kind: str) -> list[Any]:
        """All requests of a kind since the last call: traces, logs or metrics."""
        wanted = REQUESTS[f"/v1/{kind}"]
        taken = [request for request in self.requests if isinstance(request, wanted)]
        self.requests = [request for request in self.requests if not isinstance(request, wanted)]
        return taken

    def close(self) -> None:
        """End both servers."""
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(None)


def as_base64_ids(body: bytes) -> str:
    """OTLP's JSON has ids in hexadecimal, protobuf's own has them in base64."""

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        ids = ("traceId", "spanId", "parentSpanId")
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode() if key in ids else walk(value)
            for key, value in node.items()
        }

    return json.dumps(walk(json.loads(body)))
