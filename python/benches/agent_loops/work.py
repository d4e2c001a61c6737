"""What a turn does besides telling of it."""

from __future__ import annotations

import asyncio

TOOLS = ("search", "read", "calculate")


async def model_call() -> int:
    """A model's answer, 50 ms later; its tokens."""
    await asyncio.sleep(0.05)
    return 120


async def tool_call(tool: str, number: int) -> int:
    """A tool's result."""
    await asyncio.sleep(0)
    return len(tool) + number
