"""What all agents have in common: an inbox, a voice, tools in threads, and a watched step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

import coati

from . import instruments
from .mail import Inbox, Letter

T = TypeVar("T")


class Agent:
    """Answers letters one after the other. Each answer is a step: a span, a count, a time."""

    step = "step"

    def __init__(self, name: str, inbox: Inbox, pool: Executor) -> None:
        self.name = name
        self.inbox = inbox
        self.pool = pool
        self.log = coati.get_logger(f"swarm.{name}").bind(agent=name)
        self.tracer = coati.get_tracer("swarm")

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            letter = await self.inbox.get()
            try:
                answer = await self.take(letter)
            except Exception as error:
                if not letter.reply.done():
                    letter.reply.set_exception(error)
            else:
                if not letter.reply.done():
                    letter.reply.set_result(answer)

    async def take(self, letter: Letter) -> Any:
        """One step, in the trace that the letter came from."""
        outcome = "error"
        sender = coati.extract(letter.headers)
        try:
            with coati.context(job=letter.job):
                async with (
                    self.tracer.span(
                        self.step, parent=sender, kind="consumer", agent=self.name, job=letter.job
                    ),
                    instruments.step_time.time(agent=self.name),
                ):
                    answer, ok = await self.handle(letter.content)
            outcome = "ok" if ok else "error"
            return answer
        finally:
            instruments.steps.add(1, agent=self.name, outcome=outcome)

    async def handle(self, content: Any) -> tuple[Any, bool]:
        """The answer, and whether the step went well."""
        raise NotImplementedError

    async def use(self, tool: Callable[..., T], *args: Any, how: str = "") -> T:
        """Runs a tool in a thread; `how` tells its tries apart."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.pool, partial(self._call, tool, args, how))

    def _call(self, tool: Callable[..., T], args: tuple[Any, ...], how: str) -> T:
        name = tool.__name__
        outcome = "error"
        try:
            with (
                self.tracer.span(name, agent=self.name, tool=name) as span,
                instruments.tool_time.time(tool=name),
            ):
                if how:
                    span.set_attribute("how", how)
                result = tool(*args)
            outcome = "ok"
            return result
        finally:
            instruments.tool_calls.add(1, agent=self.name, tool=name, outcome=outcome)

    def say(self, level: str, message: str, **fields: Any) -> None:
        """Logs a line, and counts it."""
        self.log.log(level, message, **fields)
        instruments.messages.add(1, agent=self.name, level=level)

    def complain(self, message: str, **fields: Any) -> None:
        """Logs the exception being handled, and counts the line."""
        self.log.exception(message, **fields)
        instruments.messages.add(1, agent=self.name, level="error")

    def retry(self, file: str, reason: Exception, then: str) -> None:
        """Notes on the current span and in the log that a try failed and what is tried next."""
        kind = type(reason).__name__
        coati.current_span().add_event("retry", reason=kind, then=then)
        detail = str(reason)[:120]
        self.say("warning", "trying again", file=file, reason=kind, then=then, detail=detail)
        instruments.retries.add(1, agent=self.name, reason=kind)
