"""A span for each event: PRE's lasts until its POST, whose own lies inside."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar

from coati.compat.kaizen._scrub import scrub
from coati.compat.kaizen.hooks._pairs import Pairs
from coati.compat.kaizen.hooks.protocol import BaseHook
from coati.compat.kaizen.hooks.types import HookContext, HookEvent, HookResult

if TYPE_CHECKING:
    from coati.compat.kaizen.tracing_manager import TracingManager

__all__ = ["TracingHook"]

logger = logging.getLogger("kaizen.core.autonomy.hooks.builtin.tracing_hook")


class TracingHook(BaseHook):
    """Spans of an agent's events, each inside what it happens in.

    A PRE event's span is ended by the POST event that belongs to it, also where the two have trace
    ids of their own, as those of the framework's agents; an error that the POST event tells of is
    on both. Calls that overlap are told apart by their ids, traces, tasks and threads.

    Args:
        tracing_manager: what makes spans.
        events_to_trace: events that get one; all if there are none.
    """

    events: ClassVar[list[HookEvent]] = list(HookEvent)

    def __init__(
        self, tracing_manager: TracingManager, events_to_trace: list[HookEvent] | None = None
    ) -> None:
        super().__init__("tracing_hook")
        self.tracing_manager = tracing_manager
        self.events_to_trace = events_to_trace or []
        self._pairs = Pairs()

    def _should_trace_event(self, event: HookEvent) -> bool:
        return not self.events_to_trace or event in self.events_to_trace

    async def handle(self, context: HookContext) -> HookResult:
        """Begin a span, or end one."""
        start = time.time()
        if not self._should_trace_event(context.event_type):
            return HookResult(True, {"span_created": False, "reason": "event_filtered"})
        try:
            name = context.event_type.value
            if name.startswith("post_"):
                span, duration = self._end(context)
                done = "span_updated"
            else:
                span, duration = self._begin(context), None
                done = "span_created"
            return HookResult(
                True,
                {
                    "span_name": name,
                    "span_id": span.get_span_context().span_id,
                    "agent_id": context.agent_id,
                    "trace_id": context.trace_id,
                    "duration_ms": (time.time() - start) * 1000 if duration is None else duration,
                    done: True,
                },
            )
        except Exception as error:
            logger.error("TracingHook failed: %s", scrub(error))
            data = {"span_created": False, "error": str(error)}
            return HookResult(False, data, str(error))

    def _begin(self, context: HookContext) -> Any:
        outer = self._pairs.inside(context)
        span = self.tracing_manager.create_span_from_context(
            context=context, parent_span=outer.what if outer else None
        )
        given_up = self._pairs.begin(context, span)
        if given_up is not None:
            given_up.what.end()
        return span

    def _end(self, context: HookContext) -> tuple[Any, float | None]:
        begun = self._pairs.end(context)
        outer = begun or self._pairs.inside(context)
        span = self.tracing_manager.create_span_from_context(
            context=context, parent_span=outer.what if outer else None
        )
        failed = context.data.get("error") if isinstance(context.data, dict) else None
        if failed:
            told = HookResult(False, error=str(failed))
            for one in (span, begun.what) if begun else (span,):
                self.tracing_manager.update_span_from_result(one, told)
        span.end()
        if begun is None:
            return span, None
        begun.what.end()
        return span, (context.timestamp - begun.start) * 1000
