"""Starts the engine as the framework's configuration says, where the program has not started it."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import coati
from coati import _native
from coati.compat.langswarm._config import ObservabilityConfig
from coati.compat.langswarm._levels import LogLevel, level_of
from coati.compat.langswarm._trouble import tell

_lock = threading.Lock()
_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
#: Seconds that reading the engine's time may take.
_PROMPT = 0.001
#: Seconds by which two readings of the engine's start may differ.
SAME = 0.002
#: Paths of Jaeger's own receiver, which a base URL does not have.
_JAEGER_PATHS = {"/api/traces", "/v1/traces"}


class _Own:
    """The engine that has been started here, for want of another."""

    def __init__(self, config: ObservabilityConfig) -> None:
        self.settings = settings(config)
        coati.init(config=self.settings)
        self._began = started()
        self._init = coati.init
        coati.init = self._replace

    def _replace(self, *args: Any, **kwargs: Any) -> coati.Engine:
        """``coati.init``, by which the program has its own after all."""
        runs = self.runs()
        coati.init = self._init
        if runs:
            coati.shutdown()
        return self._init(*args, **kwargs)

    def runs(self) -> bool:
        """Whether it is still the one that runs."""
        return coati.init == self._replace and abs(started() - self._began) < SAME

    def extend(self, config: ObservabilityConfig) -> None:
        """Write where this configuration wants it, too, and down to its level."""
        known = self.settings["sinks"]
        more = [sink for sink in settings(config)["sinks"] if sink not in known]
        rank = min(level_of(self.settings["logs"]["level"]).rank, config.log_level.rank)
        level = next(one.value for one in LogLevel if one.rank == rank)
        if more or level != self.settings["logs"]["level"]:
            coati.configure(sinks=[*known, *more], logs={"level": level})
            known += more
            self.settings["logs"]["level"] = level


_own: _Own | None = None


def ensure(config: ObservabilityConfig) -> None:
    """Start the engine, if it has never been started in this process.

    One that was started so writes where each configuration wants it, and gives way to the
    program's own ``coati.init``.
    """
    global _own  # noqa: PLW0603 - a process has one engine
    if _own is None and _native.configuration():
        return
    with _lock:
        try:
            if not _native.configuration():
                _own = _Own(config)
            elif _own is not None and _own.runs():
                _own.extend(config)
        except coati.ConfigError as error:
            tell("start the engine", error)


async def flushed() -> None:
    """Wait until everything has been written, without keeping the loop from its other tasks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # Another library's loop.
        coati.flush()
    else:
        await asyncio.to_thread(coati.flush)


def started() -> float:
    """When the engine was started, in seconds of the monotonic clock."""
    while True:
        before = time.monotonic()
        uptime = float(coati.health()["uptime_s"])
        # A pause in between would tell another moment.
        if time.monotonic() - before < _PROMPT:
            return before - uptime


def settings(config: ObservabilityConfig) -> dict[str, Any]:
    """The engine's configuration for the framework's."""
    sinks = [*_log_sinks(config), *_receivers(config)]
    limits = {
        "max_attributes": _first(
            config.tracing.max_attributes_per_span, config.performance.max_attributes_per_span
        ),
        "max_events": config.tracing.max_events_per_span,
    }
    wanted: dict[str, Any] = {
        "service": config.opentelemetry_service_name,
        "resource": {"service.version": config.opentelemetry_service_version},
        "enabled": config.enabled,
        "logs": {"level": config.log_level.value},
        # The tracer decides which traces are kept, once for each.
        "spans": {key: value for key, value in limits.items() if value},
        "sinks": sinks,
    }
    if config.performance.max_log_entry_size:
        wanted["logs"]["max_string"] = config.performance.max_log_entry_size
    metrics = {"prometheus": _prometheus(config), "max_labels": config.metrics.max_label_count}
    wanted["metrics"] = {key: value for key, value in metrics.items() if value}
    return wanted


def _first(*values: Any) -> Any:
    return next((value for value in values if value), None)


def _log_sinks(config: ObservabilityConfig) -> list[dict[str, Any]]:
    sinks: list[dict[str, Any]] = []
    style = "pretty" if config.log_format == "text" else "json"
    # The framework writes no spans into its log.
    common = {"signals": ["logs"], "level": config.log_level.value}
    if config.log_output != "file" or not config.log_file_path:
        sinks.append({"type": "console", "stream": "stdout", "format": style, **common})
    if config.log_output in {"file", "both"} and config.log_file_path:
        file = {"type": "file", "path": os.fspath(config.log_file_path), **common}
        rotation = config.logging.rotation or {}
        if rotation.get("max_size"):
            file["rotate_bytes"] = size(rotation["max_size"])
        if rotation.get("backup_count"):
            file["keep"] = int(rotation["backup_count"])
        sinks.append(file)
    return sinks


def size(text: Any) -> int:
    """Bytes for a number or a text such as ``100MB``."""
    found = re.fullmatch(r"\s*([\d.]+)\s*([kmg]?)i?b?\s*", str(text).lower())
    if not found:
        raise coati.ConfigError(f"rotation.max_size is {text!r}, not a size such as 100MB")
    return max(int(float(found[1]) * _SIZES[found[2]]), 1)


def _receivers(config: ObservabilityConfig) -> list[dict[str, Any]]:
    endpoint = config.trace_export_url
    if config.opentelemetry_enabled:
        endpoint = config.opentelemetry_otlp_endpoint or endpoint
    elif config.tracing.exporter == "console":
        endpoint = None
    if not endpoint:
        return []
    url = urlsplit(endpoint)
    if url.path in _JAEGER_PATHS:
        endpoint = f"{url.scheme}://{url.netloc}"
    sink: dict[str, Any] = {"type": "otlp", "endpoint": endpoint}
    if config.opentelemetry_otlp_headers:
        sink["headers"] = dict(config.opentelemetry_otlp_headers)
    if url.port == 4317:
        sink["protocol"] = "grpc"
    if config.tracing.max_export_batch_size:
        sink["traces"] = {"batch_records": config.tracing.max_export_batch_size}
    return [sink]


def _prometheus(config: ObservabilityConfig) -> str | None:
    if config.opentelemetry_enabled and config.opentelemetry_prometheus_enabled:
        return f"0.0.0.0:{config.opentelemetry_prometheus_port}"
    # A path is one of the program's own server, which asks for the text.
    given = config.metrics.prometheus_endpoint or ""
    return given if re.fullmatch(r"[\w.\-\[\]:]+:\d+", given) else None
