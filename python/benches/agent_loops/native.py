"""The loop on coati's own calls."""

from __future__ import annotations

import coati

from agent_loops.work import TOOLS, model_call, tool_call

log = coati.get_logger("agent")
tracer = coati.get_tracer("agent")
turns = coati.counter("agent_turns")
steps = coati.counter("agent_steps")
tokens = coati.counter("agent_tokens")
calls = coati.counter("tool_calls")
took = coati.histogram("agent_step_seconds")
sizes = coati.histogram("tool_result_bytes")
active = coati.gauge("agent_active")
context = coati.gauge("agent_context_tokens")


async def turn(number: int) -> None:
    """One turn."""
    session = f"session {number}"
    with tracer.span("turn", agent="planner", session=session, turn=number):
        turns.add(1, agent="planner", model="gpt-4o")
        active.set(200, agent="planner", model="gpt-4o")
        log.info("turn started", agent="planner", session=session, turn=number, tools=3)
        with tracer.span("invoke_agent", agent="planner", model="gpt-4o"):
            _plan(number, session)
            with tracer.span("chat", model="gpt-4o", temperature=0.5, stream=False):
                log.info(
                    "model asked", agent="planner", session=session, model="gpt-4o", turn=number
                )
                used = await model_call()
                log.info(
                    "model answered", agent="planner", session=session, tokens=used, turn=number
                )
                tokens.add(used, agent="planner", kind="input")
                tokens.add(20, agent="planner", kind="output")
                took.record(0.05, agent="planner", step="model")
                context.set(used, agent="planner", model="gpt-4o")
            for tool in TOOLS:
                with tracer.span("execute_tool", tool=tool, call=number):
                    log.info(
                        "tool called", agent="planner", session=session, tool=tool, turn=number
                    )
                    calls.add(1, agent="planner", tool=tool)
                    with tracer.span("fetch", tool=tool, attempt=1):
                        log.info("fetching", agent="planner", session=session, tool=tool, attempt=1)
                        result = await tool_call(tool, number)
                        log.info(
                            "fetched", agent="planner", session=session, tool=tool, size=result
                        )
                        sizes.record(result, agent="planner", tool=tool)
                    steps.add(1, agent="planner", step=tool)
                    took.record(0.002, agent="planner", step=tool)
                    active.set(199, agent="planner", model="gpt-4o")
                    log.info("tool done", agent="planner", session=session, tool=tool, ok=True)
            _answer(number, session)
        log.info("turn done", agent="planner", session=session, turn=number, ok=True)
        took.record(0.06, agent="planner", step="turn")
        active.set(198, agent="planner", model="gpt-4o")


def _plan(number: int, session: str) -> None:
    with tracer.span("plan", agent="planner", steps=3):
        log.debug("planning", agent="planner", session=session, turn=number, steps=3)
        with tracer.span("search_memory", store="notes", results=2):
            log.info("remembered", agent="planner", session=session, store="notes", results=2)
            steps.add(1, agent="planner", step="memory")
            took.record(0.001, agent="planner", step="memory")
        steps.add(1, agent="planner", step="plan")
        took.record(0.001, agent="planner", step="plan")


def _answer(number: int, session: str) -> None:
    with tracer.span("answer", agent="planner", size=80):
        log.info("answering", agent="planner", session=session, turn=number, size=80)
        context.set(140, agent="planner", model="gpt-4o")
        steps.add(1, agent="planner", step="answer")
        took.record(0.001, agent="planner", step="answer")
        log.info("answered", agent="planner", session=session, turn=number, size=80)
