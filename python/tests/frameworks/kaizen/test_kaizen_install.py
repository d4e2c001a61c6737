"""``coati.compat.kaizen.install()``: whose classes a program gets, and that all is put back."""

from __future__ import annotations

import json
import sys

from conftest import Program

NAMES = """
import importlib, json, sys
from types import ModuleType
PARENT = "kaizen.core.autonomy"
PLACES = {
    f"{PARENT}.observability": ["MetricsCollector", "AuditEntry", "ObservabilityManager"],
    f"{PARENT}.observability.audit": ["FileAuditStorage", "AuditTrailManager"],
    f"{PARENT}.observability.tracing_manager": ["TracingManager"],
    f"{PARENT}.hooks": ["HookManager", "HookEvent", "TracingHook", "BaseHook"],
    f"{PARENT}.hooks.manager": ["HookManager", "safe_handler_name"],
    f"{PARENT}.hooks.builtin": ["AuditTrailHook", "MetricsHook"],
    f"{PARENT}.hooks.builtin.logging_hook": ["LoggingHook"],
    f"{PARENT}.hooks.security.rate_limiting": ["HookManager", "HookEvent"],
}
def owners():
    found = set()
    for place, names in PLACES.items():
        module = importlib.import_module(place)
        root, _, rest = place.partition(".")
        walked = sys.modules[root]
        for part in rest.split("."):
            walked = getattr(walked, part)
        assert walked is module, place
        found |= {getattr(module, name).__module__.partition(".")[0] for name in names}
    return found
def leftovers():
    return [
        f"{name}.{attribute}"
        for name, module in list(sys.modules.items())
        if name.startswith("kaizen") and isinstance(module, ModuleType)
        for attribute, value in list(vars(module).items())
        if str(getattr(value, "__module__", getattr(value, "__name__", ""))).startswith("coati")
    ]
"""


def test_what_was_imported_before_is_replaced_and_put_back(program: Program) -> None:
    program.run(
        NAMES
        + """
assert owners() == {"kaizen"}
import kaizen.core.autonomy.observability as package
from kaizen.core.autonomy.observability import MetricsCollector
from kaizen.core.autonomy.hooks.types import HookEvent as Event
theirs = {name: sys.modules[name] for name in sys.modules if name.startswith(PARENT)}
before = MetricsCollector
import asyncio
from kaizen.core.autonomy.hooks import BaseHook, HookEvent, HookManager, HookResult
class Mine(BaseHook):
    events = [HookEvent.PRE_TOOL_USE, HookEvent.POST_TOOL_USE]
    def __init__(self):
        super().__init__(name="mine")
        self.seen = {event: 0 for event in self.events}
    async def handle(self, context):
        self.seen[context.event_type] += 1
        return HookResult(success=True)
from coati.compat import kaizen
kaizen.install()
kaizen.install()
assert kaizen.is_installed()
assert owners() == {"coati"}
assert MetricsCollector is kaizen.MetricsCollector is package.MetricsCollector
assert Event is kaizen.HookEvent
# Hooks, events and dicts that the program has made before.
assert HookManager is kaizen.HookManager
hook, manager = Mine(), HookManager()
manager.register_hook(hook)
for event in ("pre_tool_use", kaizen.HookEvent.POST_TOOL_USE, hook.events[1]):
    assert asyncio.run(manager.trigger(event, "a", {}, timeout=60))[0].success
assert list(hook.seen.values()) == [1, 2]
kaizen.uninstall()
kaizen.uninstall()
assert not kaizen.is_installed()
assert owners() == {"kaizen"}
assert MetricsCollector is before
assert leftovers() == []
for name, module in theirs.items():
    assert sys.modules[name] is module, name
kaizen.install()
assert owners() == {"coati"}
"""
    )


def test_what_is_imported_afterwards(program: Program) -> None:
    program.run(
        NAMES
        + """
from coati.compat import kaizen
kaizen.install()
assert owners() == {"coati"}
# The framework's own were not needed for it.
assert "opentelemetry.exporter.otlp.proto.grpc.trace_exporter" not in sys.modules
from kaizen.core.autonomy.hooks.security.rate_limiting import RateLimitedHookManager
assert issubclass(RateLimitedHookManager, kaizen.HookManager)
kaizen.uninstall()
assert owners() == {"kaizen"}
assert leftovers() == []
"""
    )


def test_under_coati_run(program: Program) -> None:
    """Nothing of the program knows of coati."""
    (program.folder / "app.py").write_text(
        """
import asyncio
from kaizen.core.autonomy.hooks import HookManager, TracingHook
from kaizen.core.autonomy.observability import ObservabilityManager

obs = ObservabilityManager("shop", enable_audit=False)

async def main():
    manager = HookManager()
    manager.register_hook(TracingHook(obs.tracing))
    await manager.trigger("pre_tool_use", "one", {"tool_name": "x"}, timeout=60)
    obs.get_logger("shop").info("inside", steps=3)
    await manager.trigger("post_tool_use", "one", {"tool_name": "x"}, timeout=60)

asyncio.run(main())
obs.shutdown()
"""
    )
    program.call([sys.executable, "-m", "coati", "run", "app.py"])
    lines = program.stderr.splitlines()
    attached = next(line for line in lines if line.startswith("coati: attached to "))
    assert "kaizen" in attached
    records = [json.loads(line) for line in lines if line.startswith("{")]
    spans = {one["span"]: one for one in records if "span" in one}
    assert spans["post_tool_use"]["parent_span_id"] == spans["pre_tool_use"]["span_id"]
    logs = [one for one in records if one.get("logger") == "shop"]
    assert [(one["message"], one["steps"]) for one in logs] == [("inside", 3)]


def test_without_the_framework_it_says_what_to_install(program: Program) -> None:
    program.run(
        """
import sys
sys.modules["kaizen"] = None
from coati.compat import kaizen
try:
    kaizen.install()
except ImportError as error:
    assert "pip install 'kailash-kaizen[observability]'" in str(error)
else:
    raise AssertionError
assert not kaizen.is_installed()
kaizen.MetricsCollector().counter("calls")
"""
    )
