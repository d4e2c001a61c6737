"""Kaizen's agents on its own modules and on coati's: what they return, record and report."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Program

AGENT = """
import asyncio, json, logging, os, sys
os.environ["KAIZEN_ALLOW_KEYLESS_MOCK"] = "1"
logging.basicConfig(filename="agents.log", level=logging.INFO, format="%(name)s %(message)s")
SWAPPED = sys.argv[1] == "coati"
if SWAPPED:
    import coati
    from coati.compat import kaizen
    coati.init("agents", config={"sinks": [SINK], "logs": {"level": "debug"}})
    kaizen.install()
"""
#: Base agents with every hook there is, called from code that is not asynchronous and from tasks.
HOOKED = """
from kaizen.core.autonomy.hooks import (
    CostTrackingHook, HookEvent, HookManager, HookPriority, HookResult, LoggingHook, MetricsHook,
    PerformanceProfilerHook, TracingHook,
)
from kaizen.core.autonomy.hooks.builtin import AuditTrailHook
from kaizen.core.autonomy.observability import (
    AuditTrailManager, FileAuditStorage, TracingManager,
)
from kaizen.core.autonomy.state.manager import StateManager
from kaizen.core.autonomy.state.storage import FilesystemStorage
from kaizen.core.autonomy.state.types import AgentState
from kaizen.core.base_agent import BaseAgent
from kaizen.core.config import BaseAgentConfig
from kaizen.signatures import InputField, OutputField, Signature
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Question(Signature):
    question: str = InputField(description="what is asked")
    answer: str = OutputField(description="what is answered")

exporter = InMemorySpanExporter()
tracing = TracingManager("agents", exporter=exporter)
metrics, profiler, costs = MetricsHook(), PerformanceProfilerHook(), CostTrackingHook()
audit = AuditTrailManager(FileAuditStorage("trail/audit.jsonl"))
manager = HookManager()
for hook in (
    metrics, profiler, costs, LoggingHook(), LoggingHook(format="json"),
    TracingHook(tracing), AuditTrailHook(audit),
):
    manager.register_hook(hook, HookPriority.HIGH)

seen = []
async def function(context):
    seen.append([context.event_type.value, context.agent_id, sorted(context.data)])
    return HookResult(success=True)
manager.register(HookEvent.PRE_AGENT_LOOP, function)

def agent(name, **more):
    config = BaseAgentConfig(llm_provider="mock", model="mock-model", **more)
    return BaseAgent(
        config=config, signature=Question(), hook_manager=manager, mcp_servers=[], agent_id=name
    )

report = {"runs": [agent("one").run(question="what is sync?")]}
state = StateManager(storage=FilesystemStorage("states"), hook_manager=manager)

async def main():
    two = agent("two", use_async_llm=True)
    runs = await asyncio.gather(*(two.run_async(question=f"what is {n}?") for n in range(3)))
    report["runs"] += runs
    for tool in ("search", "read"):
        data = {"tool_name": tool, "estimated_cost_usd": 0.25}
        await manager.trigger("pre_tool_use", "two", {"tool_name": tool}, trace_id="t1")
        await manager.trigger("post_tool_use", "two", data, trace_id="t1")
    report["checkpoint"] = bool(
        await state.save_checkpoint(AgentState(agent_id="two", step_number=1))
    )
    report["audit"] = [
        [one.agent_id, one.action, one.result, one.details["data_keys"], one.metadata]
        for one in await audit.query_all()
    ]

asyncio.run(main())
tracing.force_flush()
report["spans"] = [
    {"name": one.name, "id": one.context.span_id, "attributes": dict(one.attributes),
     "parent": one.parent and one.parent.span_id, "trace": one.context.trace_id}
    for one in exporter.get_finished_spans()
]
report["open"] = len(getattr(next(
    hook for _, hook in manager._hooks[HookEvent.PRE_TOOL_USE] if hook.name == "tracing_hook"
), "_active_spans", {}))
report["metrics"] = metrics.export_prometheus().decode()
report["counts"] = metrics.get_metrics()
report["costs"] = costs.get_cost_breakdown()
report["stats"] = {
    name: [one["call_count"], one["success_count"]] for name, one in manager.get_stats().items()
}
report["timed"] = {kind: one["count"] for kind, one in profiler.get_performance_report().items()}
report["seen"] = seen
tracing.shutdown()
"""
#: An agent's own observability, and what the program records through it.
OBSERVED = """
config = BaseAgentConfig(llm_provider="mock", model="mock-model")
observed = BaseAgent(config=config, signature=Question(), mcp_servers=[], agent_id="one")
obs = observed.enable_observability(service_name="shop", enable_tracing=False)
lines = []
class Kept(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())
logging.getLogger("shop.planner").addHandler(Kept())
logging.getLogger("shop.planner").setLevel(logging.INFO)

async def observe():
    log = obs.get_logger("shop.planner")
    log.add_context(agent_id="one", trace_id="t1")
    log.debug("not seen")
    log.info("begin", question="what?", tries=2, ratio=0.5, ok=True, nothing=None)
    result = observed.run(question="what?")
    for number in range(20):
        await obs.record_metric("api_calls_total", 1, labels={"provider": "mock", "ok": "yes"})
        await obs.record_metric("tool_execution_duration_ms", number * 1.5, "histogram")
    await obs.record_metric("memory_bytes", 1024, "gauge", {"agent_id": "one"})
    await obs.record_audit("one", "tool_execute", {"tool": "x"}, "success", "u1", {"m": [1]})
    await obs.record_audit("one", "grant", {}, "denied")
    log.error("end", result=result)
    found = await obs.query_audit_by_agent("one") + await obs.query_audit_by_action("grant")
    return {
        "run": result,
        "metrics": await obs.export_metrics(),
        "audit": [[e.action, e.details, e.result, e.user_id, e.metadata] for e in found],
        "components": obs.get_enabled_components(),
        "service": obs.get_service_name(),
    }

report["observed"] = asyncio.run(observe())
report["observed"]["lines"] = [json.loads(line) for line in lines]
observed.cleanup()
"""
#: The agent with everything on by default, which writes into the trail of the one before.
DEFAULTS = """
import warnings
warnings.simplefilter("ignore")
from kaizen.agent import Agent

default = Agent(model="mock", llm_provider="mock", tools=[], enable_tracing=False)
report["default"] = {
    "run": default.run("hello"),
    "hooks": sorted(default.hook_manager.registered_hook_names()),
    "stats": {
        name: [one["call_count"], one["success_count"]]
        for name, one in default.hook_manager.get_stats().items()
    },
}
with open(".kaizen/audit.jsonl") as file:
    report["trail"] = [json.loads(line) for line in file]
"""
END = """
with open("report.json", "w") as file:
    json.dump(report, file)
if SWAPPED:
    coati.shutdown()
"""


LOGGER = "kaizen.core.autonomy.hooks.builtin.logging_hook "
#: Ids and times.
UNIQUE = r"[0-9a-f]{8}-[0-9a-f-]{27}|ckpt_\w+|agent_\d+|\d+\.\d+|\d{4}-\S+Z"


class Both:
    """A program's reports, on its own modules and on coati's."""

    def __init__(self, folder: Path, source: str) -> None:
        self.folders = {name: folder / name for name in ("kaizen", "coati")}
        self.programs: dict[str, Program] = {}
        for name, one in self.folders.items():
            one.mkdir()
            self.programs[name] = Program(one)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: self.programs[name].run(source, name), self.programs))

    def reports(self) -> tuple[dict[str, Any], dict[str, Any]]:
        theirs, ours = (
            json.loads((one / "report.json").read_text()) for one in self.folders.values()
        )
        return theirs, ours

    def logged(self, name: str) -> list[str]:
        """What hooks for logging wrote, but for ids and times."""
        lines = (self.folders[name] / "agents.log").read_text().splitlines()
        lines = [line for line in lines if line.startswith(LOGGER)]
        return [re.sub(UNIQUE, "?", line) for line in lines]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(tmp_path_factory.mktemp("agents"), AGENT + HOOKED + OBSERVED + DEFAULTS + END)


def without_ids(entry: dict[str, Any]) -> dict[str, Any]:
    """An audit entry without what no two runs have the same."""
    details = {key: value for key, value in entry["details"].items() if key != "trace_id"}
    agent = re.sub(r"\d{5,}", "?", entry["agent_id"])
    return {**entry, "timestamp": 0, "agent_id": agent, "details": details}


def untimed(text: str) -> list[str]:
    """A page of metrics without durations and creation times."""
    return [
        line
        for line in text.splitlines()
        if not re.match(r"kaizen_operation_duration_seconds_|\w+_created", line)
    ]


def test_agents_return_and_count_the_same(both: Both) -> None:
    theirs, ours = both.reports()
    for report in (theirs, ours):
        assert len(report["runs"]) == 4
        assert report["checkpoint"]
    for what in ("runs", "audit", "counts", "costs", "stats", "seen"):
        assert ours[what] == theirs[what], what
    assert untimed(ours["metrics"]) == untimed(theirs["metrics"])
    assert ours["stats"]["tracing_hook"] == ours["stats"]["audit_trail_hook"] == [14, 14]


def test_agents_log_the_same(both: Both) -> None:
    assert len(both.logged("kaizen")) >= 2 * 14
    assert both.logged("coati") == both.logged("kaizen")


def test_spans_are_the_same_but_paired(both: Both) -> None:
    theirs, ours = both.reports()

    def attributes(report: dict[str, Any]) -> list[str]:
        shown = [
            json.dumps({**one["attributes"], "trace_id": "", "name": one["name"]}, sort_keys=True)
            for one in report["spans"]
        ]
        return sorted(re.sub(UNIQUE, "?", one) for one in shown)

    # What does not meet its POST event is never ended.
    assert len(theirs["spans"]) + theirs["open"] == len(ours["spans"])
    assert set(attributes(theirs)) <= set(attributes(ours))
    spans = {one["id"]: one for one in ours["spans"]}
    for one in spans.values():
        if one["name"].startswith("post_"):
            begun = spans[one["parent"]]
            assert begun["name"] == one["name"].replace("post_", "pre_")
            assert begun["attributes"]["agent_id"] == one["attributes"]["agent_id"]
            assert begun["trace"] == one["trace"]
    assert sum(one["name"] == "post_agent_loop" for one in spans.values()) == 4
    assert len({one["parent"] for one in spans.values() if one["name"] == "post_agent_loop"}) == 4


def test_runs_that_overlap_are_all_timed(both: Both) -> None:
    theirs, ours = both.reports()
    assert theirs["timed"]["agent_loop"] <= 4
    assert ours["timed"] == {"agent_loop": 4, "tool_use": 2, "checkpoint_save": 1}


def test_spans_are_in_the_engine_too(both: Both) -> None:
    _, ours = both.reports()
    recorded = {one["span_id"]: one for one in both.programs["coati"].records() if "span" in one}
    assert len(recorded) == len(ours["spans"]) == 14
    for span in ours["spans"]:
        one = recorded[f"{span['id']:016x}"]
        assert (one["span"], one["attributes"]["agent_id"]) == (
            span["name"],
            span["attributes"]["agent_id"],
        )
        assert one.get("parent_span_id") == (span["parent"] and f"{span['parent']:016x}")


def test_trails_are_proved(both: Both) -> None:
    from coati.compat.kaizen import FileAuditStorage  # noqa: PLC0415 - the programs come first

    found = FileAuditStorage(both.folders["coati"] / "trail" / "audit.jsonl").verify()
    assert (found.ok, found.entries) == (True, 14)


def test_an_agents_own_observability(both: Both) -> None:
    theirs, ours = (report["observed"] for report in both.reports())
    for what in ("run", "metrics", "audit", "components", "service"):
        assert ours[what] == theirs[what], what
    for mine, other in zip(ours["lines"], theirs["lines"], strict=True):
        assert list(mine) == list(other)
        assert {**mine, "timestamp": 0} == {**other, "timestamp": 0}
    records = both.programs["coati"].records()
    begin, end = (one for one in records if one.get("logger") == "shop.planner")
    assert (begin["message"], begin["question"], begin["tries"]) == ("begin", "what?", 2)
    assert (end["message"], end["agent_id"], end["field.trace_id"]) == ("end", "one", "t1")


def test_the_agent_with_everything_on(both: Both) -> None:
    theirs, ours = both.reports()
    assert ours["default"] == theirs["default"]
    assert "audit_trail_hook" in ours["default"]["stats"]


def test_trails_have_the_same_entries(both: Both) -> None:
    theirs, ours = both.reports()
    actions = ["tool_execute", "grant", "pre_agent_loop", "post_agent_loop"]
    assert [one["action"] for one in ours["trail"]] == actions
    for mine, other in zip(ours["trail"], theirs["trail"], strict=True):
        assert list(mine) == [*other, "sequence", "prev_hash", "hash"]
        assert without_ids(mine) == {**without_ids(mine), **without_ids(other)}
