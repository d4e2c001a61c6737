"""How agents hand things on: letters in queues, with the trace context in their headers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import coati


@dataclass
class Letter:
    """A request to an agent. `reply` is where the answer is awaited."""

    job: str
    content: Any
    headers: dict[str, str]
    reply: asyncio.Future[Any]


Inbox = asyncio.Queue[Letter]


def here() -> dict[str, str]:
    """The current span, as headers that can be sent anywhere."""
    headers: dict[str, str] = {}
    coati.inject(headers)
    return headers


async def ask(inbox: Inbox, job: str, content: Any) -> Any:
    """Sends a request and waits for its answer."""
    reply = asyncio.get_running_loop().create_future()
    await inbox.put(Letter(job, content, here(), reply))
    return await reply
