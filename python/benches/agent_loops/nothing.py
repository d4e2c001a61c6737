"""The loop alone."""

from __future__ import annotations

from agent_loops.work import TOOLS, model_call, tool_call


async def turn(number: int) -> None:
    """One turn."""
    _plan(number)
    await model_call()
    for tool in TOOLS:
        await tool_call(tool, number)
    _answer(number)


def _plan(number: int) -> None:
    pass


def _answer(number: int) -> None:
    pass
