"""Configuration: sources, errors, what may change, life before `init` and after `shutdown`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coati
import pytest


def test_a_second_init_with_the_same_configuration_is_a_no_op(engine: Any) -> None:
    config = {"logs": {"level": "debug"}, "sinks": [{"type": "memory"}]}
    first = coati.init("tests", config=config)
    assert first.config["service"] == "tests"
    with pytest.raises(coati.ConfigError, match="another configuration"):
        coati.init("tests", config={**config, "enabled": False})
    coati.configure(logs={"level": "error"})
    assert coati.init("tests", config=config) is first
    assert first.config["logs"]["level"] == "error"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"logs": {"levle": "debug"}}, "levle"),
        ({"logs": {"level": "loud"}}, "loud"),
        ({"ring": {"bytes": 5000}}, "power of two"),
        ({"nonsense": 1}, "nonsense"),
        ({"sinks": [{"type": "carrier pigeon"}]}, "carrier pigeon"),
    ],
    ids=repr,
)
def test_errors_name_the_key_and_what_is_accepted(config: Any, named: str) -> None:
    coati.shutdown(60)
    with pytest.raises(coati.ConfigError, match=named):
        coati.init("tests", config=config)


def test_what_needs_a_restart_says_so_and_changes_nothing(engine: Any) -> None:
    with pytest.raises(coati.ConfigError, match=r"ring\.bytes"):
        coati.configure(logs={"level": "error"}, ring={"bytes": 8192})
    assert coati.get_logger("config").is_enabled("debug")
    with pytest.raises(coati.ConfigError, match="nope"):
        coati.configure(nope={"a": 1})


def test_code_beats_file_beats_environment(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coati.shutdown(60)
    file = tmp_path / "coati.toml"
    file.write_text('service = "from file"\n[logs]\nlevel = "error"\nmax_string = 100\n')
    monkeypatch.setenv("COATI_LOGS_MAX_STRING", "50")
    monkeypatch.setenv("COATI_LOGS_MAX_FIELDS", "7")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from environment")
    started = coati.init(
        config={"logs": {"level": "warning"}, "sinks": [{"type": "memory"}]}, config_file=file
    )
    assert started.config["service"] == "from file"
    logs = started.config["logs"]
    assert (logs["level"], logs["max_string"], logs["max_fields"]) == ("warning", 100, 7)


def test_disabled_is_silent(engine: Any, capfd: pytest.CaptureFixture[str]) -> None:
    engine.start(enabled=False)
    coati.get_logger("config").critical("no")
    with coati.get_tracer("config").span("no") as span:
        assert not span.is_recording()
    coati.counter("config_disabled").add()
    assert coati.flush(60)
    assert coati.memory_records() == []
    assert capfd.readouterr() == ("", "")


def test_after_shutdown_everything_is_silent(
    engine: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    log, tracer = coati.get_logger("config"), coati.get_tracer("config")
    open_span = tracer.start_span("open")
    log.info("in time")
    final = coati.shutdown(60)
    assert final["logs"]["recorded"] == final["logs"]["delivered"] == 1
    assert coati.shutdown(60) == coati.ledger()
    log.critical("late", value=object())
    open_span.end()
    with tracer.span("late"), coati.context(a=1):
        coati.trace(len)([])
    assert coati.flush(60)
    assert coati.ledger()["logs"]["recorded"] == 1
    coati.configure(logs={"level": "debug"})
    assert coati.metrics.prometheus_text() is not None
    assert capfd.readouterr() == ("", "")


def test_before_init(program: Any) -> None:
    program.run(
        """
        import coati, asyncio
        log = coati.get_logger("early")
        counter = coati.counter("early_counter").bind(a=1)
        tracer = coati.get_tracer("early")

        @coati.trace
        def traced(): return 5

        class Awkward:
            def __str__(self): raise ValueError

        log.info("not shown")
        with coati.context(user="u1"), tracer.span("no") as span:
            assert not span.is_recording()
            log.bind(b=1).warning("shown", n=2**70, awkward=Awkward(), nested=[{"a": None}])
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("also shown")
        counter.add()
        assert traced() == 5 and counter.value() == 0
        assert coati.flush(60) and coati.ledger()["logs"]["recorded"] == 0
        assert coati.health()["ok"] and coati.memory_records() == []
        assert coati.metrics.snapshot() == [] and coati.metrics.prometheus_text() == ""
        coati.configure(logs={"level": "debug"})
        coati.init(config={"sinks": [SINK]})
        log.info("recorded")
        counter.add()
        assert traced() == 5 and counter.value() == 1
        """
    )
    first, *rest = program.stderr.splitlines()
    assert first.startswith("WARNING early: shown ")
    for part in ("user=", "b=1", "n=1180591620717411303424", "<unprintable Awkward>"):
        assert part in first
    assert rest[0].startswith("ERROR early: also shown")
    assert rest[-1] == "ZeroDivisionError: division by zero"
    assert "not shown" not in program.stderr
    assert program.messages() == ["recorded"]
    assert [line["span"] for line in program.records() if "span" in line] == ["__main__.traced"]


def test_a_sink_that_cannot_be_opened_is_a_health_problem(engine: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    engine.start(sinks=[{"type": "file", "path": str(blocked / "below.jsonl")}])
    coati.get_logger("config").info("lost")
    coati.flush(60)
    health = coati.health()
    assert not health["ok"]
    assert health["problems"][0]["reason"]


def test_health_has_its_keys(engine: Any) -> None:
    coati.get_logger("config").info("m")
    health = coati.health()
    assert health["ok"] is True
    assert health["problems"] == []
    assert health["sinks"][0]["name"] == "memory"
    assert health["uptime_s"] >= 0
    assert health["memory_bytes"] > 0


def test_flush_with_odd_times(engine: Any) -> None:
    for seconds in (0, -1, float("nan"), float("inf"), 1e300):
        assert coati.flush(seconds) in (True, False)
