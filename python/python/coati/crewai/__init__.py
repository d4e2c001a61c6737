"""CrewAI through coati: a listener of its event bus.

Crews and flows are ``invoke_workflow`` spans, agents ``invoke_agent``, tools ``execute_tool``,
model calls ``chat``, memory ``search_memory`` and ``upsert_memory``; tasks and methods of flows
have their own names. CrewAI calls listeners in threads of their own. This one sees events where
they are made, so that each span is current while what it stands for runs.

CrewAI's own telemetry, which goes to its makers, is not touched: ``CREWAI_DISABLE_TELEMETRY=true``
switches it off. ``OTEL_SDK_DISABLED=true`` would switch off coati too.
"""

from __future__ import annotations

from typing import Any

from coati import genai, get_tracer
from coati._adapter import Entry, Hidden, Open, around, harmless
from coati.crewai._events import begin, complete

__all__ = ["Listener", "install", "uninstall"]

_TRACER = get_tracer("crewai")
#: Told of so often, or with so little to say, that they are no events of spans.
_QUIET = frozenset(
    {
        "agent_logs_execution",
        "agent_logs_started",
        "cc_env",
        "codex_env",
        "conversation_message_added",
        "cursor_env",
        "default_env",
        "flow_created",
        "flow_plot",
        "hook_dispatched",
    }
)
_CHUNKS = frozenset({"llm_stream_chunk", "llm_thinking_chunk"})


class Listener:
    """A listener of CrewAI's events, which :func:`install` puts on the bus of the process."""

    def __init__(self) -> None:
        self._open = Open()
        self._starting: frozenset[str] = frozenset()
        self._buses: list[Any] = []

    def setup_listeners(self, crewai_event_bus: Any) -> None:
        """Listen to a bus: what is emitted there is seen in the context of who emits."""
        from crewai.events.event_context import SCOPE_STARTING_EVENTS  # noqa: PLC0415

        self._starting = SCOPE_STARTING_EVENTS
        emit, aemit = crewai_event_bus.emit, crewai_event_bus.aemit

        def seen_emit(source: Any, event: Any) -> Any:
            result = emit(source, event)
            self._see(source, event)
            return result

        async def seen_aemit(source: Any, event: Any) -> None:
            await aemit(source, event)
            self._see(source, event)

        crewai_event_bus.emit = seen_emit
        crewai_event_bus.aemit = seen_aemit
        self._buses.append((crewai_event_bus, seen_emit, emit, seen_aemit, aemit))

    def remove(self) -> None:
        """Listen no more, and end what is under way."""
        for bus, seen_emit, emit, seen_aemit, aemit in self._buses:
            _restore(bus, "emit", seen_emit, emit)
            _restore(bus, "aemit", seen_aemit, aemit)
        self._buses.clear()
        self._starting = frozenset()
        self._open.clear()

    @harmless
    def _see(self, source: Any, event: Any) -> None:
        kind = event.type
        if kind in self._starting:
            self._begin(source, event)
        elif event.started_event_id is not None:
            self._end(event)
        elif kind in _CHUNKS:
            entry = self._open[event.parent_event_id]
            if entry is not None:
                entry.operation.chunk()
        elif kind not in _QUIET:
            entry = self._open[event.parent_event_id]
            if entry is not None:
                entry.operation.span.add_event(kind)

    def _begin(self, source: Any, event: Any) -> None:
        outer = self._open[event.parent_event_id]
        if event.type == "flow_started" and getattr(source, "suppress_flow_events", False):
            # The agent's own machinery.
            if outer is not None:
                self._open[event.event_id] = Hidden(outer)
            return
        entry = Entry(begin(source, event, {**around(outer), "tracer": _TRACER}))
        self._open[event.event_id] = entry
        entry.attach()

    def _end(self, event: Any) -> None:
        entry = self._open.pop(event.started_event_id)
        if entry is None or isinstance(entry, Hidden):
            return
        try:
            complete(entry.operation, event)
        finally:
            entry.end()


def _restore(bus: Any, name: str, ours: Any, before: Any) -> None:
    if vars(bus).get(name) is not ours:
        # Somebody has wrapped it since; without open spans and starting events it does nothing.
        return
    if getattr(type(bus), name, None) is getattr(before, "__func__", None):
        delattr(bus, name)
    else:
        setattr(bus, name, before)


_installed: Listener | None = None


def install() -> Listener:
    """Record what CrewAI tells of. Other listeners stay.

    Returns:
        The listener in use; a second call gives the same one.

    Raises:
        ImportError: there is no CrewAI.
    """
    global _installed  # noqa: PLW0603 - CrewAI has one bus
    if _installed is None:
        try:
            from crewai.events.event_bus import crewai_event_bus  # noqa: PLC0415 - where wanted
        except ImportError as error:
            raise ImportError("coati.crewai needs CrewAI: pip install crewai") from error
        genai.prepare()
        listener = Listener()
        listener.setup_listeners(crewai_event_bus)
        _installed = listener
    return _installed


def uninstall() -> None:
    """Take the listener away."""
    global _installed  # noqa: PLW0603
    if _installed is not None:
        _installed.remove()
        _installed = None
