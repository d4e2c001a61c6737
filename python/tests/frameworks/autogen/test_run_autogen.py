"""An AutoGen program under ``coati run``, nothing changed."""

from __future__ import annotations

from pathlib import Path

from run_checks import Run, failed, overlap

PROGRAM = Path(__file__).with_name("program.py")


def test_run(tmp_path: Path) -> None:
    run = Run(tmp_path, PROGRAM)
    assert "attached to logging, opentelemetry, autogen" in run.summary
    # AutoGen makes agents before there is a run, each in a trace of its own.
    made = [span for span in run.spans if span["span"].startswith("create_agent")]
    assert sorted(span["span"].split()[1] for span in made) == [
        "chief",
        "facts",
        "grammar",
        "writer",
    ]
    assert run.root(beside=made)["span"] == "invoke_workflow desk"
    for agent in ("writer", "grammar", "facts", "chief"):
        # Published to the agent's own topic, processed by the agent.
        path = [name.split("_")[0] for name in run.path(run.one(f"invoke_agent {agent}"))]
        assert path == ["invoke", f"autogen publish {agent}", f"autogen process {agent}", "invoke"]
    grammar, facts = run.one("invoke_agent grammar"), run.one("invoke_agent facts")
    assert overlap(grammar, facts)
    assert overlap(run.one("execute_tool archive"), run.one("execute_tool phone"))
    writer = run.one("invoke_agent writer")
    model = "chat ReplayChatCompletionClient"
    below = [name for name in run.children(writer) if not name.startswith("autogen")]
    assert below == [model, "execute_tool archive", "execute_tool phone", model]
    assert failed(run.one("execute_tool phone")) == "ConnectionError"
    assert writer["status"]["code"] == "unset"
    used = run.stdout.partition("used: ")[2].split()
    assert run.tokens() == (int(used[0]), int(used[1])) == (86, 26)
    # One answer was kept from earlier, and is no expense.
    assert "5 model calls, 60 input and 22 output tokens" in run.summary
    assert [name for name in run.children(facts) if name == model] == [model]
    places = {
        line["message"]: run.logged_in(line["message"])["span"]
        for line in run.logs
        if "span_id" in line
    }
    assert places == {
        "looking up rye": "execute_tool archive",
        "nobody answers": "execute_tool phone",
        "checking rye": "execute_tool spell",
    }
    assert [line["message"] for line in run.logs if "span_id" not in line] == ["printed Print it."]
