"""An operation with a span, a log line at each end, and counts."""

from __future__ import annotations

from typing import Any

from coati.compat.langswarm._trouble import tell


class TracedOperation:
    """Around an operation: a span, log lines at its start and its end, and counters.

    ``operations.started``, ``operations.completed`` and ``operations.failed`` count with
    ``operation``, ``component`` and, at the end, ``status`` or ``error_type``.
    """

    def __init__(self, provider: Any, operation_name: str, component: str | None = None) -> None:
        self.provider = provider
        self.operation_name = operation_name
        self.component = component or "unknown"
        self.span: Any = None
        self.span_context: Any = None

    def __enter__(self) -> Any:
        self.span_context = self.provider.tracer.start_span(self.operation_name)
        self.span = self.span_context.__enter__()
        self._say("info", "Started", "start")
        self._count("started")
        return self.span

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            if kind is None:
                self._say("info", "Completed", "complete")
                self._count("completed", status="success")
            else:
                name = kind.__name__
                self._say("error", "Failed", "error", error_type=name, error_message=str(error))
                self._count("failed", error_type=name)
        except Exception as trouble:  # the program's own __str__
            tell("tell of an operation's end", trouble)
        finally:
            self.span_context.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Any:
        return self.__enter__()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.__exit__(kind, error, traceback)

    def _say(self, level: str, verb: str, operation: str, **fields: Any) -> None:
        message = f"{verb} operation: {self.operation_name}"
        self.provider.log_with_trace_context(
            level, message, self.component, operation=operation, **fields
        )

    def _count(self, what: str, **tags: Any) -> None:
        self.provider.metrics.increment_counter(
            f"operations.{what}", operation=self.operation_name, component=self.component, **tags
        )
