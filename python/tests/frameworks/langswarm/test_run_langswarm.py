"""A LangSwarm program under ``coati run``, nothing changed: each of its operations is a trace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from run_checks import Run, failed

PROGRAM = Path(__file__).with_name("swarm_app.py")
PRINTED = "True True {'twice': 42}\n"


def test_run(tmp_path: Path) -> None:
    run = Run(tmp_path, PROGRAM)
    assert run.stdout == PRINTED
    assert any(
        line.startswith("attached to ") and "langswarm" in line.split(", ") for line in run.summary
    )
    assert run.summary[1] == "traces: 3, failed spans: 2"
    assert run.tree().splitlines() == [
        "agent.chat",
        "agent.chat",
        "agent.chat > agent.provider_call",
        "agent.chat > agent.provider_call",
        "agent.chat > tool.execute",
        "agent.chat > tool.execute > tool.method_call",
        "workflow.execute",
        "workflow.execute > workflow.execute_sync",
    ]
    good, bad = run.named("agent.chat")
    assert sorted(run.children(good)) == ["agent.provider_call", "tool.execute"]
    (call,) = [one for one in run.named("agent.provider_call") if run.parent(one) == bad]
    assert failed(call) == "ConnectionError"
    assert bad["status"]["code"] == "error"
    assert run.logged_in("Executing tool method: calculator.add") == run.one("tool.execute")
    assert run.logged_in("Chat error for agent ada: no line") == bad
    (mine,) = [line for line in run.logs if line["logger"] == "shop"]
    assert (mine["message"], mine["metadata"]) == ("open", {"steps": 3})


def test_a_program_that_asks_for_nothing_does_as_ever(tmp_path: Path) -> None:
    for start in ([sys.executable], [sys.executable, "-m", "coati", "run"]):
        done = subprocess.run(
            [*start, str(PROGRAM), "plain"],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=tmp_path,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, PRINTED), done.stderr
