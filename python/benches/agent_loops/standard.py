"""The loop on the standard library's logging, OpenTelemetry's API and ``prometheus_client``."""

from __future__ import annotations

import logging

from opentelemetry import trace
from prometheus_client import Counter, Gauge, Histogram

from agent_loops.work import TOOLS, model_call, tool_call

log = logging.getLogger("agent")
tracer = trace.get_tracer("agent")
span = tracer.start_as_current_span
turns = Counter("agent_turns", "Turns", ["agent", "model"])
steps = Counter("agent_steps", "Steps", ["agent", "step"])
tokens = Counter("agent_tokens", "Tokens", ["agent", "kind"])
calls = Counter("tool_calls", "Calls", ["agent", "tool"])
took = Histogram("agent_step_seconds", "Seconds", ["agent", "step"])
sizes = Histogram("tool_result_bytes", "Bytes", ["agent", "tool"])
active = Gauge("agent_active", "Active", ["agent", "model"])
context = Gauge("agent_context_tokens", "Tokens", ["agent", "model"])


async def turn(number: int) -> None:
    """One turn."""
    session = f"session {number}"
    with span("turn", attributes={"agent": "planner", "session": session, "turn": number}):
        turns.labels("planner", "gpt-4o").inc()
        active.labels("planner", "gpt-4o").set(200)
        log.info(
            "turn started",
            extra={"agent": "planner", "session": session, "turn": number, "tools": 3},
        )
        with span("invoke_agent", attributes={"agent": "planner", "model": "gpt-4o"}):
            _plan(number, session)
            with span("chat", attributes={"model": "gpt-4o", "temperature": 0.5, "stream": False}):
                log.info(
                    "model asked",
                    extra={
                        "agent": "planner",
                        "session": session,
                        "model": "gpt-4o",
                        "turn": number,
                    },
                )
                used = await model_call()
                log.info(
                    "model answered",
                    extra={"agent": "planner", "session": session, "tokens": used, "turn": number},
                )
                tokens.labels("planner", "input").inc(used)
                tokens.labels("planner", "output").inc(20)
                took.labels("planner", "model").observe(0.05)
                context.labels("planner", "gpt-4o").set(used)
            for tool in TOOLS:
                with span("execute_tool", attributes={"tool": tool, "call": number}):
                    log.info(
                        "tool called",
                        extra={
                            "agent": "planner",
                            "session": session,
                            "tool": tool,
                            "turn": number,
                        },
                    )
                    calls.labels("planner", tool).inc()
                    with span("fetch", attributes={"tool": tool, "attempt": 1}):
                        log.info(
                            "fetching",
                            extra={
                                "agent": "planner",
                                "session": session,
                                "tool": tool,
                                "attempt": 1,
                            },
                        )
                        result = await tool_call(tool, number)
                        log.info(
                            "fetched",
                            extra={
                                "agent": "planner",
                                "session": session,
                                "tool": tool,
                                "size": result,
                            },
                        )
                        sizes.labels("planner", tool).observe(result)
                    steps.labels("planner", tool).inc()
                    took.labels("planner", tool).observe(0.002)
                    active.labels("planner", "gpt-4o").set(199)
                    log.info(
                        "tool done",
                        extra={"agent": "planner", "session": session, "tool": tool, "ok": True},
                    )
            _answer(number, session)
        log.info(
            "turn done", extra={"agent": "planner", "session": session, "turn": number, "ok": True}
        )
        took.labels("planner", "turn").observe(0.06)
        active.labels("planner", "gpt-4o").set(198)


def _plan(number: int, session: str) -> None:
    with span("plan", attributes={"agent": "planner", "steps": 3}):
        log.debug(
            "planning", extra={"agent": "planner", "session": session, "turn": number, "steps": 3}
        )
        with span("search_memory", attributes={"store": "notes", "results": 2}):
            log.info(
                "remembered",
                extra={"agent": "planner", "session": session, "store": "notes", "results": 2},
            )
            steps.labels("planner", "memory").inc()
            took.labels("planner", "memory").observe(0.001)
        steps.labels("planner", "plan").inc()
        took.labels("planner", "plan").observe(0.001)


def _answer(number: int, session: str) -> None:
    with span("answer", attributes={"agent": "planner", "size": 80}):
        log.info(
            "answering", extra={"agent": "planner", "session": session, "turn": number, "size": 80}
        )
        context.labels("planner", "gpt-4o").set(140)
        steps.labels("planner", "answer").inc()
        took.labels("planner", "answer").observe(0.001)
        log.info(
            "answered", extra={"agent": "planner", "session": session, "turn": number, "size": 80}
        )
