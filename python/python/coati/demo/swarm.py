"""The swarm: who there is, how a job goes from agent to agent, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import coati

from . import instruments
from .agent import Agent
from .agents import Assignment, Critic, Planner, Study, Summariser, Totals, Worker
from .library import Job
from .mail import Inbox, ask, here


@dataclass
class Tally:
    """How far the swarm is."""

    jobs: int = 0
    files: int = 0
    sent_back: int = 0
    elapsed: float = 0.0
    ended: str = "all files are read"
    totals: list[Totals] = field(default_factory=list)


class Swarm:
    """A planner, workers, a critic and a summariser, on one event loop and a few threads."""

    def __init__(self, library: Path, jobs: list[Job], workers: int, seed: int) -> None:
        self.jobs = jobs
        self.tally = Tally()
        self.log = coati.get_logger("swarm")
        self.tracer = coati.get_tracer("swarm")
        self.finished: list[dict[str, str]] = []
        self.stopping = asyncio.Event()
        self.inboxes = {role: Inbox() for role in ("plan", "study", "review", "summarise")}
        threads = ThreadPoolExecutor(min(workers, (os.cpu_count() or 1) + 2), "tool")
        pool = cast(Executor, coati.wrap_executor(threads))
        self.threads = threads
        names = [f"worker-{n}" for n in range(1, workers + 1)]
        inbox = self.inboxes
        self.agents: list[Agent] = [
            Planner("planner", inbox["plan"], pool, library),
            *(Worker(name, inbox["study"], pool, library) for name in names),
            Critic("critic", inbox["review"], pool, seed),
            Summariser("summariser", inbox["summarise"], pool),
        ]
        self.at_once = 1 + workers // 4
        coati.observable_gauge("queue_depth", self.waiting)

    def waiting(self) -> int:
        """Letters that nobody has opened."""
        return sum(inbox.qsize() for inbox in self.inboxes.values())

    def stop(self, reason: str) -> None:
        """Ends early: what is begun is finished, what waits is left."""
        if self.stopping.is_set():
            return
        self.tally.ended = reason
        self.stopping.set()
        unopened = self.inboxes["study"]
        while not unopened.empty():
            letter = unopened.get_nowait()
            if not letter.reply.done():
                letter.reply.set_result(None)

    async def run(self, seconds: float) -> Tally:
        """Works for some seconds, or until all is read or someone presses Ctrl-C."""
        began = time.perf_counter()
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self.stop, "time is up")
        crew = [loop.create_task(agent.run()) for agent in self.agents]
        self.log.info("swarm starts", agents=len(crew), jobs=len(self.jobs), seconds=seconds)
        with self.ctrl_c(loop):
            try:
                await self.conduct_all()
                self.digest()
            finally:
                for member in crew:
                    member.cancel()
                await asyncio.gather(*crew, return_exceptions=True)
                self.threads.shutdown()
                self.tally.elapsed = time.perf_counter() - began
                self.log.info("swarm ends", reason=self.tally.ended, files=self.tally.files)
        return self.tally

    @contextlib.contextmanager
    def ctrl_c(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """The first Ctrl-C ends the swarm in order, the second one as usual."""

        def interrupted() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            self.stop("interrupted")

        # Windows and threads other than the main one have no such handlers.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(signal.SIGINT)

    async def conduct_all(self) -> None:
        """Begins jobs, a few at once, until there are no more or it is time to stop."""
        slots = asyncio.Semaphore(self.at_once)
        begun: set[asyncio.Task[None]] = set()
        for job in self.jobs:
            await slots.acquire()
            if self.stopping.is_set():
                break
            task = asyncio.create_task(self.conduct(job))
            begun.add(task)
            task.add_done_callback(lambda _: slots.release())
        await asyncio.gather(*begun)

    async def conduct(self, job: Job) -> None:
        """One job, one trace: plan, study, review, perhaps study again, summarise."""
        instruments.jobs_in_flight.add(1)
        try:
            async with self.tracer.start_as_current_span(
                "job", attributes={"job": job.name}
            ) as span:
                plan: list[Assignment] = await ask(self.inboxes["plan"], job.name, job)
                studies = [study async for study in self.studies(job, plan)]
                if len(studies) < len(plan):
                    span.add_event("cut short", unread=len(plan) - len(studies))
                if studies and not self.stopping.is_set():
                    await coati.trace("quality", role="critic")(self.review)(job, studies)
                totals: Totals = await ask(self.inboxes["summarise"], job.name, studies)
                self.tally.totals.append(totals)
                self.tally.jobs += 1
                span.set_attributes({"files": totals.files, "lines": totals.lines})
                span.set_status("ok")
                self.finished.append(here())
        except Exception:
            self.log.exception("job failed", job=job.name)
        finally:
            instruments.jobs_in_flight.add(-1)

    @coati.trace("studies")
    async def studies(self, job: Job, plan: list[Assignment]) -> AsyncIterator[Study]:
        """Studies as workers hand them in."""
        asked = [asyncio.create_task(self.study(job, assignment)) for assignment in plan]
        try:
            for next_one in asyncio.as_completed(asked):
                study = await next_one
                if study is not None:
                    self.tally.files += 1
                    yield study
        finally:
            for task in asked:
                task.cancel()

    async def study(self, job: Job, assignment: Assignment) -> Study | None:
        """Asks for one study; none comes when it is time to stop before someone takes it up."""
        if self.stopping.is_set():
            return None
        answer: Study | None = await ask(self.inboxes["study"], job.name, assignment)
        return answer

    async def review(self, job: Job, studies: list[Study]) -> None:
        """Lets the critic look, and workers correct what it sends back, until it is content."""
        wrong: list[Study] = await ask(self.inboxes["review"], job.name, studies)
        if not wrong:
            return
        self.tally.sent_back += len(wrong)
        again = [Assignment(study.file, before=study) for study in wrong]
        await asyncio.gather(*(self.study(job, assignment) for assignment in again))
        if not self.stopping.is_set():
            await ask(self.inboxes["review"], job.name, wrong)

    def digest(self) -> None:
        """A last span that points at the traces of all jobs."""
        with self.tracer.span("digest", jobs=self.tally.jobs, files=self.tally.files) as span:
            for headers in self.finished[:100]:
                span.add_link(coati.extract(headers))
            best = max(self.tally.totals, key=lambda totals: totals.complexity, default=Totals())
            self.log.info("digest", hardest=best.hardest, complexity=best.complexity)
