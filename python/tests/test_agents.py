"""Observers of agents, tools, models, memories, workflows and sessions."""

from __future__ import annotations

import asyncio
import datetime
import gc
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import coati
import pytest
from coati import agents, genai
from prometheus_client.parser import text_string_to_metric_families

log = coati.get_logger("app")
NOTHING = "0" * 16


@pytest.fixture(autouse=True)
def _as_it_begins() -> Iterator[None]:
    genai.set_prices({"gpt-4o": {"input": 2.5, "output": 10.0, "cache_read": 1.25}})
    yield
    agents.configure(metric_names=None, log_level="info")
    genai.set_prices({})


def spans(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Spans by their name, which none may share."""
    found = [record for record in records if "span" in record]
    assert len({span["span"] for span in found}) == len(found)
    return {span["span"]: span for span in found}


def samples() -> dict[str, float]:
    """What a scrape gives, by name and labels."""
    families = text_string_to_metric_families(coati.metrics.prometheus_text())
    return {
        sample.name + str(dict(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_log_span_and_metrics_in_one_call(engine: Any) -> None:
    with agents.agent("planner", id="a1", version="2") as run:
        assert coati.current_span() is run.span
        with agents.tool("search", call_id="c1") as call:
            log.info("inside")
            call.set({"hits": 3})
        with agents.model("gpt-4o", provider="openai", temperature=0.5) as call:
            usage = {"prompt_tokens": 100, "completion_tokens": 10}
            call.response(usage=usage, model="gpt-4o-2024", id="r1", finish_reasons=["stop"])
    assert coati.current_span().span_id == NOTHING
    records = engine.records()
    found = spans(records)
    agent, tool = found["invoke_agent planner"], found["execute_tool search"]
    chat = found["chat gpt-4o"]
    assert agent["attributes"]["gen_ai.agent.id"] == "a1"
    assert agent["attributes"]["gen_ai.agent.version"] == "2"
    assert agent["attributes"]["gen_ai.usage.input_tokens"] == 100
    assert tool["attributes"]["gen_ai.tool.call.id"] == "c1"
    assert tool["attributes"]["hits"] == 3
    assert tool["parent_span_id"] == chat["parent_span_id"] == agent["span_id"]
    assert chat["kind"] == "client"
    assert chat["attributes"]["gen_ai.request.temperature"] == 0.5
    assert chat["attributes"]["gen_ai.response.id"] == "r1"
    cost = chat["attributes"]["coati.usage.cost_usd"]
    assert cost == pytest.approx((100 * 2.5 + 10 * 10) / 1e6)
    inside, of_tool, of_model, of_agent = [record for record in records if "message" in record]
    assert inside["span_id"] == of_tool["span_id"] == tool["span_id"]
    assert (of_tool["logger"], of_tool["message"]) == ("coati.agents.tool", "tool search")
    assert (of_tool["level"], of_tool["hits"]) == ("info", 3)
    assert 0 < of_tool["duration_s"] <= tool["duration_ns"] / 1e9 + 0.001
    assert of_model["gen_ai.usage.input_tokens"] == 100
    assert of_model["coati.usage.cost_usd"] == cost
    assert of_agent["coati.usage.cost_usd"] == cost
    assert of_agent["span_id"] == agent["span_id"]
    counted: dict[str, Any] = {metric.name: metric for metric in coati.metrics.snapshot()}
    assert counted["gen_ai.execute_tool.duration"].stats.count == 1
    assert counted["gen_ai.invoke_agent.duration"].stats.count == 1
    assert counted["gen_ai.invoke_agent.tool_calls"].stats.sum == 1
    assert counted["gen_ai.client.inference.usage.input_tokens"].value == 100


def test_errors(engine: Any) -> None:
    with pytest.raises(LookupError), agents.agent("planner"), agents.tool("search"):
        raise LookupError("no such thing")
    with agents.tool("soft") as call:
        call.fail("quota", "no more today")
    records = engine.records()
    found = spans(records)
    for name in ("invoke_agent planner", "execute_tool search"):
        assert found[name]["status"] == {"code": "error", "description": "no such thing"}
        assert found[name]["attributes"]["error.type"] == "LookupError"
    assert found["execute_tool soft"]["attributes"]["error.type"] == "quota"
    lines = [record for record in records if "message" in record]
    assert [line["level"] for line in lines] == ["error"] * 3
    assert lines[0]["exception.message"] == "no such thing"
    assert [line["error.type"] for line in lines] == ["LookupError", "LookupError", "quota"]


@agents.tool
def plain(a: int, b: int = 2) -> int:
    """Adds."""
    log.info("in plain")
    return a + b


@agents.tool("renamed", type="extension")
async def coroutine(a: int) -> int:
    await asyncio.sleep(0)
    log.info("in coroutine")
    return a


@agents.tool
def generator(n: int) -> Iterator[int]:
    for number in range(n):
        log.info("in generator")
        got = yield number
        if got is not None:
            yield got * 10


@agents.agent
async def answers(n: int) -> AsyncIterator[int]:
    for number in range(n):
        log.info("in answers")
        yield number
        await asyncio.sleep(0)


def test_decorators(engine: Any) -> None:
    assert plain(1, b=4) == 5
    assert plain.__doc__ == "Adds."
    assert plain.__name__ == "plain"
    assert asyncio.run(coroutine(7)) == 7
    stream = generator(2)
    assert next(stream) == 0
    # Between its steps nothing is current.
    assert coati.current_span().span_id == NOTHING
    assert stream.send(5) == 50  # type: ignore[attr-defined]
    assert list(stream) == [1]

    async def consume() -> list[int]:
        found = []
        async for answer in answers(3):
            assert coati.current_span().span_id == NOTHING
            found.append(answer)
        return found

    assert asyncio.run(consume()) == [0, 1, 2]
    records = engine.records()
    found = spans(records)
    names = ["execute_tool plain", "execute_tool renamed", "execute_tool generator"]
    assert list(found) == [*names, "invoke_agent answers"]
    assert found["execute_tool renamed"]["attributes"]["gen_ai.tool.type"] == "extension"
    by_id = {span["span_id"]: name for name, span in found.items()}
    lines = [record for record in records if str(record.get("message")).startswith("in ")]
    told = [(line["message"], by_id[line["span_id"]].split()[1]) for line in lines]
    assert told == [
        ("in plain", "plain"),
        ("in coroutine", "renamed"),
        *[("in generator", "generator")] * 2,
        *[("in answers", "answers")] * 3,
    ]


def test_generators_that_break_off_or_fail(engine: Any) -> None:
    closed: list[str] = []

    @agents.tool
    def broken(fail: bool) -> Iterator[int]:
        try:
            yield 1
            if fail:
                raise OverflowError("too much")
            yield 2
        finally:
            closed.append(coati.current_span().span_id)

    @agents.tool
    async def abroad() -> AsyncIterator[int]:
        try:
            yield 1
        except KeyError:
            yield 2

    stream = broken(False)
    assert next(stream) == 1
    stream.close()  # type: ignore[attr-defined]
    (span,) = engine.spans()
    assert closed == [span["span_id"]]
    assert span["attributes"]["coati.stream.end"] == "closed"
    assert span["status"]["code"] == "unset"
    with pytest.raises(OverflowError):
        list(broken(True))
    (span,) = engine.spans()
    assert span["attributes"]["error.type"] == "OverflowError"
    forgotten = broken(False)
    next(forgotten)
    del forgotten
    gc.collect()
    assert len(engine.spans()) == 1

    async def main() -> None:
        stream = abroad()
        assert await anext(stream) == 1
        # What is thrown in arrives.
        assert await stream.athrow(KeyError("x")) == 2  # type: ignore[attr-defined]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    asyncio.run(main())
    assert engine.span()["status"]["code"] == "unset"


def test_overlapping_calls_of_one_name_do_not_mix(engine: Any) -> None:
    search = agents.tool("search")

    async def call(number: int, turns: int) -> None:
        async with search as run:
            run.set({"number": number})
            for _ in range(turns):
                await asyncio.sleep(0)
                log.info("turn", number=number)
            if number % 3 == 0:
                raise LookupError(str(number))

    async def main() -> None:
        # Those that begin first end last.
        calls = [call(number, 20 - number) for number in range(20)]
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(main())
    records = engine.records()
    found = [record for record in records if record.get("span") == "execute_tool search"]
    by_number = {span["attributes"]["number"]: span for span in found}
    assert sorted(by_number) == list(range(20))
    assert len({span["span_id"] for span in found}) == 20
    for number, span in by_number.items():
        assert (span["status"]["code"] == "error") == (number % 3 == 0)
        lines = [r for r in records if r.get("message") == "turn" and r["number"] == number]
        assert [line["span_id"] for line in lines] == [span["span_id"]] * (20 - number)
    told = [r for r in records if r.get("message") == "tool search"]
    assert {(line["number"], line["span_id"]) for line in told} == {
        (number, span["span_id"]) for number, span in by_number.items()
    }


def test_overlapping_calls_of_threads(engine: Any) -> None:
    search = agents.tool("search")
    all_inside = threading.Barrier(4)

    def call(number: int) -> None:
        with search as run:
            all_inside.wait(120)
            run.set({"number": number})
            log.info("turn", number=number)
            all_inside.wait(120)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    records = engine.records()
    found = {r["span_id"]: r["attributes"]["number"] for r in records if "span" in r}
    assert sorted(found.values()) == [0, 1, 2, 3]
    assert all(found[r["span_id"]] == r["number"] for r in records if r.get("message") == "turn")


def test_a_session_reaches_everything_inside(engine: Any) -> None:
    def in_a_thread() -> None:
        log.info("thread")

    async def child() -> None:
        async with agents.tool("search"):
            await asyncio.sleep(0)
            log.info("task")

    async def main() -> None:
        with coati.context(tenant="t1"):
            async with agents.session("s1", user_id="u1") as session:
                with agents.agent("planner"):
                    await asyncio.gather(child(), child())
                with coati.wrap_executor(ThreadPoolExecutor(1)) as pool:
                    pool.submit(in_a_thread).result(120)
                with coati.get_tracer("app").span("own"), genai.retrieval("docs"):
                    log.info("own")
                session.messages(4)
        log.info("outside")

    asyncio.run(main())
    records = engine.records()
    ids = {"session.id": "s1", "user.id": "u1", "gen_ai.conversation.id": "s1"}
    lines = [record for record in records if "message" in record]
    outside = lines.pop()
    assert outside["message"] == "outside"
    assert not ids.keys() & outside.keys()
    assert {line["message"] for line in lines} == {
        *("task", "thread", "own", "tool search", "agent planner", "session")
    }
    for line in lines:
        assert {name: line[name] for name in ids} == ids
        assert line["tenant"] == "t1"
    observed = [record for record in records if "span" in record and record["span"] != "own"]
    assert len(observed) == 5
    for span in observed:
        assert {name: span["attributes"][name] for name in ids} == ids
    assert len({record["trace_id"] for record in records if "span" in record}) == 1
    session = next(span for span in observed if span["span"] == "session")
    assert session["attributes"]["coati.session.messages"] == 4
    (duration,) = [m for m in coati.metrics.snapshot() if m.name == "coati.session.duration"]
    assert duration.stats is not None
    assert duration.stats.count == 1
    assert duration.labels == {}


@pytest.mark.parametrize(
    "duration",
    [float("nan"), float("inf"), 10**400, 1e300, -1.0, None],
    ids=["nan", "inf", "huge", "large", "negative", "none"],
)
def test_durations_that_are_none(engine: Any, duration: Any) -> None:
    agents.tool.record("search", duration=duration)
    agents.tool.record("search", duration=duration, start_time=1_700_000_000_000_000_000)
    assert [span["span"] for span in engine.spans()] == ["execute_tool search"] * 2


def test_what_has_happened_already(engine: Any) -> None:
    start = int(datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc).timestamp() * 1e9)
    with agents.session("s1"):
        agents.tool.record("search", duration=0.25, start_time=start, call_id="c1")
        agents.tool.record("broken", duration=0.5, error=LookupError("gone"))
        agents.model.record(
            "gpt-4o",
            provider="openai",
            duration=2,
            start_time=start,
            response={"usage": genai.Usage(100, 10), "model": "gpt-4o"},
        )
        agents.memory.record("search", store="notes", duration=0.125, start_time=start)
        agents.agent.record("planner", duration=1, start_time=start)
        agents.workflow.record("report", duration=1, start_time=start)
        agents.step.record("draft", duration=1, start_time=start, type="llm")
    records = engine.records()
    found = spans(records)
    search = found["execute_tool search"]
    assert search["start"] == "2026-01-02T00:00:00.000000000Z"
    assert search["end"] == "2026-01-02T00:00:00.250000000Z"
    assert search["attributes"]["gen_ai.conversation.id"] == "s1"
    broken = found["execute_tool broken"]
    assert broken["duration_ns"] == 500_000_000
    assert broken["status"]["code"] == "error"
    assert found["chat gpt-4o"]["attributes"]["gen_ai.usage.output_tokens"] == 10
    assert found["search_memory notes"]["attributes"]["gen_ai.memory.store.id"] == "notes"
    assert {"invoke_agent planner", "invoke_workflow report", "step draft"} <= found.keys()
    lines = {r["message"]: r for r in records if "message" in r}
    assert lines["tool search"]["duration_s"] == 0.25
    assert lines["tool search"]["span_id"] == search["span_id"]
    assert lines["tool search"]["session.id"] == "s1"
    assert lines["tool broken"]["level"] == "error"
    counted = samples()
    prefix = "gen_ai_execute_tool_duration_seconds_sum"
    assert sum(v for k, v in counted.items() if k.startswith(prefix)) == pytest.approx(0.75)


def test_calls_that_are_not_statements(engine: Any) -> None:
    first = agents.tool("search").start()
    second = agents.tool("search").start()
    assert coati.current_span().span_id == NOTHING
    with second.current():
        log.info("in second")
    threading.Thread(target=first.end).start()
    second.fail("stopped")
    second.end()
    second.end()
    found: list[Any] = []
    deadline = time.monotonic() + 120
    while len(found) < 2 and time.monotonic() < deadline:
        found += [record for record in engine.records() if "span" in record]
    assert [span["span_id"] for span in found if span["status"]["code"] == "error"] == [
        second.span.span_id
    ]


def test_memories_workflows_and_steps(engine: Any) -> None:
    with agents.workflow("report"), agents.step("draft", type="llm"):
        with agents.memory("search", store="notes") as search:
            search.results(5)
        with agents.memory("save", store="notes"):
            pass
    found = spans(engine.records())
    assert list(found) == [
        *("search_memory notes", "upsert_memory notes", "step draft", "invoke_workflow report")
    ]
    assert found["search_memory notes"]["attributes"]["coati.memory.results"] == 5
    assert found["step draft"]["attributes"]["gen_ai.workflow.name"] == "report"
    assert found["search_memory notes"]["parent_span_id"] == found["step draft"]["span_id"]


def test_a_decorated_model_call_is_read_for_its_usage(engine: Any) -> None:
    engine.start(genai={"capture_content": True})

    class Answer:
        model = "gpt-4o-2024"
        id = "r1"

        def __init__(self) -> None:
            self.usage = {"prompt_tokens": 7, "completion_tokens": 2}

    @agents.model("gpt-4o", provider="openai")
    def ask(text: str) -> Answer:
        return Answer()

    ask("hello")
    assert plain(1) == 3
    found = spans(engine.records())
    attributes = found["chat gpt-4o"]["attributes"]
    assert attributes["gen_ai.usage.input_tokens"] == 7
    assert attributes["gen_ai.response.model"] == "gpt-4o-2024"
    assert found["execute_tool plain"]["attributes"]["gen_ai.tool.call.arguments"] == {"a": 1}
    assert found["execute_tool plain"]["attributes"]["gen_ai.tool.call.result"] == 3


def test_contents_stay_out_unless_asked_for(engine: Any) -> None:
    with agents.agent("planner") as run:
        run.input("a secret").output("another")
    assert plain(1) == 3
    assert "secret" not in str(engine.records())


def run_everything() -> None:
    with agents.session("s1"), agents.workflow("report"), agents.step("draft", type="llm"):
        with agents.agent("planner", id="a1"):
            with agents.tool("search"):
                pass
            with agents.model("gpt-4o", provider="openai") as call:
                call.response(usage=genai.Usage(1000, 100))
            with agents.memory("search", store="notes") as search:
                search.results(2)
        with pytest.raises(LookupError), agents.agent("critic"):
            raise LookupError


def test_kaizens_names(engine: Any) -> None:
    agents.configure(metric_names="kaizen")
    run_everything()
    counted = samples()
    assert counted["agent_loop_total{'agent_id': 'a1', 'status': 'success'}"] == 1
    assert counted["agent_loop_total{'agent_id': 'critic', 'status': 'failure'}"] == 1
    assert counted["tool_execution_total{'status': 'success', 'tool': 'search'}"] == 1
    calls = "{'model': 'gpt-4o', 'provider': 'openai', 'status': 'success'}"
    assert counted[f"api_calls_total{calls}"] == 1
    dollars = counted["api_cost_usd{'model': 'gpt-4o', 'provider': 'openai'}"]
    assert dollars == pytest.approx(0.0035)
    assert counted["errors_total{'component': 'agent', 'error_type': 'LookupError'}"] == 1
    assert counted["memory_bytes{}"] > 1e6
    for name, labels in (
        ("agent_loop_duration_ms", "{'agent_id': 'a1'}"),
        ("tool_execution_duration_ms", "{'tool': 'search'}"),
    ):
        for quantile in ("p50", "p95", "p99"):
            assert counted[f"{name}_{quantile}{labels}"] > 0
        assert counted[f"{name}_count{labels}"] == 1


def test_kaizens_names_are_not_shown_unless_asked_for(engine: Any) -> None:
    agents.configure(metric_names="kaizen")
    run_everything()
    agents.configure(metric_names=None)
    engine.start()
    with agents.tool("search"):
        pass
    theirs = ("agent_loop", "api_", "errors_total", "memory_", "tool_execution")
    assert not [name for name in samples() if name.startswith(theirs)]


def test_a_program_that_counts_costs_under_kaizens_name_itself(program: Any) -> None:
    program.run("""
        import coati
        from coati import agents, genai
        coati.init("x", config={"sinks": [SINK]})
        genai.set_prices({"gpt-4o": {"input": 2.5}})
        own = coati.counter("api_cost_usd")
        agents.configure(metric_names="kaizen")
        with agents.model("gpt-4o", provider="openai") as call:
            call.response(usage=genai.Usage(1000, 0))
        print(own.value(model="gpt-4o", provider="openai"))
    """)
    assert float(program.stdout) == pytest.approx(0.0025)
    assert "could not be recorded" not in str(program.records())


def test_langswarms_names(engine: Any) -> None:
    agents.configure(metric_names=["langswarm"])
    run_everything()
    found = {metric.name: metric for metric in coati.metrics.snapshot()}
    assert {
        *("agent.response_time_ms", "agent.tokens.input", "agent.tokens.output"),
        *("agent.tokens.total", "agent.errors", "tool.execution_time_ms", "tool.executions"),
        *("session.created", "session.duration_minutes", "memory.operation_time_ms"),
        *("memory.operations", "memory.search.query_time_ms", "memory.search.queries"),
        *("memory.search.results_count", "workflow.execution_time_ms", "workflow.executions"),
        *("workflow.step.execution_time_ms", "workflow.step.executions"),
        *("tokens.input", "tokens.output", "tokens.total", "tokens.cost"),
    } <= found.keys()
    assert found["agent.tokens.total"].value == 1100
    assert found["agent.tokens.total"].labels == {
        "agent_id": "planner",
        "component": "agent",
        "provider": "openai",
    }
    assert found["tool.executions"].labels["status"] == "success"
    assert found["workflow.step.executions"].labels["workflow_id"] == "report"
    assert not any("session_id" in metric.labels for metric in found.values())


def test_several_names_at_once_and_ones_own(engine: Any) -> None:
    seen: list[agents.Finished] = []

    def bad(finished: agents.Finished) -> None:
        raise RuntimeError("bad names")

    agents.configure(metric_names=["genai", "kaizen", "langswarm", bad, seen.append])
    with agents.agent("planner"), agents.tool("search"):
        pass
    assert [(one.kind, one.name, one.agent) for one in seen] == [
        ("tool", "search", "planner"),
        ("agent", "planner", "planner"),
    ]
    names = {metric.name for metric in coati.metrics.snapshot()}
    assert {"agent_loop_total", "agent.response_time_ms", "gen_ai.invoke_agent.duration"} <= names
    (told,) = [line for line in engine.logs() if line["logger"] == "coati.agents"][:1]
    assert told["exception.message"] == "bad names"
    for wrong in ("statsd", ["kaizen", "statsd"]):
        with pytest.raises(ValueError, match="'statsd' is not one of genai, kaizen, langswarm"):
            agents.configure(metric_names=wrong)
    with pytest.raises(ValueError, match="log_level: 'loud'"):
        agents.configure(log_level="loud")


def test_lines_can_be_left_out_or_be_of_another_level(engine: Any) -> None:
    agents.configure(log_level=None)
    with agents.tool("search"):
        pass
    with pytest.raises(LookupError), agents.tool("search"):
        raise LookupError
    agents.configure(log_level="debug")
    with agents.tool("search"):
        pass
    assert [line["level"] for line in engine.logs()] == ["error", "debug"]


def test_a_kind_can_be_switched_off(engine: Any) -> None:
    coati.configure(logs={"disabled": ["coati.agents.tool"]})
    with agents.agent("planner") as run:
        with agents.tool("search") as call:
            assert call.span.span_id == run.span.span_id
            call.set({"a": 1}).fail("x").response(usage=1).input("a")
            log.info("inside")
        assert plain(1) == 3
    records = engine.records()
    assert list(spans(records)) == ["invoke_agent planner"]
    assert "gen_ai.execute_tool.duration" not in {m.name for m in coati.metrics.snapshot()}
    inside = next(record for record in records if record.get("message") == "inside")
    assert inside["span_id"] == run.span.span_id


def test_before_and_after_an_engine() -> None:
    coati.shutdown(60)
    agents.configure(metric_names=["kaizen", "langswarm"])
    run_everything()
    assert plain(1) == 3
    assert list(generator(2)) == [0, 1]
    agents.tool.record("search", duration=0.5)

    class Planner(agents.Observable):
        def plan(self) -> int:
            with self.observe_operation("plan"):
                return 1

    assert Planner().plan() == 1


class Planner(agents.Observable):
    """A component by the base class."""

    def plan(self, fail: bool = False) -> None:
        with self.observe_operation("plan", goal="g") as operation:
            log.info("inside")
            operation.set(steps=4).event("drafted", n=1)
            if fail:
                raise LookupError("no plan")


class Base:
    """A class that knows nothing of observability."""

    def __init__(self, size: int) -> None:
        self.size = size


class Store(agents.ObservableMixin, Base):
    """A component by the mixin."""

    component_name = "notes.store"

    async def load(self) -> int:
        async with self.observe_operation("load") as operation:
            await asyncio.sleep(0)
            self.logger.info("loaded", size=self.size)
            if self.size < 0:
                operation.fail("negative", "too small")
            return self.size


def test_observable_components(engine: Any) -> None:
    planner = Planner(component_id="p1")
    planner.plan()
    with pytest.raises(LookupError):
        planner.plan(fail=True)
    assert asyncio.run(Store(3).load()) == 3
    assert asyncio.run(Store(-1).load()) == -1
    records = engine.records()
    plan, failed, load, small = [record for record in records if "span" in record]
    assert (plan["span"], plan["tracer"]) == ("Planner.plan", "Planner")
    assert plan["attributes"] == {
        "coati.component.name": "Planner",
        "coati.operation.name": "plan",
        "coati.component.id": "p1",
        "goal": "g",
        "steps": 4,
    }
    assert plan["events"][0]["name"] == "drafted"
    assert failed["status"] == {"code": "error", "description": "no plan"}
    assert failed["attributes"]["error.type"] == "LookupError"
    assert (load["span"], load["tracer"]) == ("notes.store.load", "notes.store")
    assert small["attributes"]["error.type"] == "negative"
    lines = [record for record in records if "message" in record]
    assert [line["span_id"] for line in lines if line["message"] == "inside"] == [
        *(plan["span_id"], failed["span_id"])
    ]
    told = [line for line in lines if line["message"] in {"plan", "load"}]
    assert [(line["logger"], line["level"]) for line in told] == [
        *(("Planner", "info"), ("Planner", "error")),
        *(("notes.store", "info"), ("notes.store", "error")),
    ]
    counted: dict[Any, Any] = {
        (m.name, m.labels["coati.component.name"], m.labels.get("error.type")): m
        for m in coati.metrics.snapshot()
        if m.name.startswith("coati.component.")
    }
    assert counted["coati.component.operations", "Planner", None].value == 2
    assert counted["coati.component.errors", "Planner", "LookupError"].value == 1
    assert counted["coati.component.duration", "notes.store", None].stats.count == 1
    assert counted["coati.component.errors", "notes.store", "negative"].value == 1


def test_a_component_can_be_switched_off(engine: Any) -> None:
    store, planner = Store(3), Planner()
    assert store.is_observed
    coati.configure(logs={"disabled": ["notes"]})
    assert not store.is_observed
    with coati.get_tracer("app").span("around") as around:
        assert asyncio.run(store.load()) == 3
        with store.observe_operation("x") as operation:
            assert operation.span.span_id == around.span_id
    planner.plan()
    coati.configure(logs={"disabled": []})
    assert asyncio.run(store.load()) == 3
    names = [span["span"] for span in engine.spans()]
    assert names == ["around", "Planner.plan", "notes.store.load"]
    operations = [m for m in coati.metrics.snapshot() if m.name == "coati.component.operations"]
    assert {m.labels["coati.component.name"]: m.value for m in operations} == {
        "Planner": 1,
        "notes.store": 1,
    }


def test_components_under_langswarms_names(engine: Any) -> None:
    agents.configure(metric_names="langswarm")
    Planner().plan()
    names = {metric.name for metric in coati.metrics.snapshot()}
    assert {"Planner.plan.duration_seconds", "Planner.plan.calls_total"} <= names
    assert samples()["Planner_plan_calls_total{'status': 'success'}"] == 1
