"""Sampling: the ratio beside the official kit's, rates, and rules by name and attributes."""

from __future__ import annotations

import random
import time
from typing import Any

import coati
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

tracer = coati.get_tracer("sampling")
LIMIT = 1 << 64


def is_kept(trace_id: int) -> bool:
    """Whether a trace of another service is recorded here."""
    headers = {"traceparent": f"00-{trace_id:032x}-00f067aa0ba902b7-00"}
    span = tracer.start_span("entry", parent=coati.extract(headers))
    assert span.trace_id == f"{trace_id:032x}"
    kept = span.is_recording()
    span.end()
    return kept


def test_the_ratio_decides_on_every_trace_as_the_official_kit_does(engine: Any) -> None:
    random.seed(4)
    ratios = [0.0, 2**-60, 1e-9, 0.1, 0.25, 1 / 3, 0.5, 0.7, 1 - 2**-53, 1.0]
    ratios += [random.random() for _ in range(30)]
    for ratio in ratios:
        engine.start(spans={"sampler": "traceidratio", "sampler_arg": ratio})
        kit = TraceIdRatioBased(ratio)
        bound = round(ratio * LIMIT)
        # Around the bound, and anywhere, under any upper half.
        lower = [low for low in range(bound - 3, bound + 3) if 0 <= low < LIMIT]
        lower += [0, 1, LIMIT - 1] + [random.getrandbits(64) for _ in range(60)]
        for low in lower:
            trace_id = random.getrandbits(64) << 64 | low
            if trace_id == 0:
                continue
            official = kit.should_sample(None, trace_id, "entry").decision
            assert is_kept(trace_id) == (official is Decision.RECORD_AND_SAMPLE), (ratio, low)


def kept(name: str, **attributes: Any) -> bool:
    with tracer.span(name, **attributes) as span:
        with tracer.span("child", skip=True) as child:
            assert child.is_recording() == span.is_recording()
        return span.is_recording()


def test_rules_look_at_what_a_root_begins_with(engine: Any) -> None:
    rules = [
        {"name": "health*", "attributes": {"http.route": "/live*"}, "sample": "never"},
        {"attributes": {"skip": True}, "sample": 0},
        {"attributes": {"tokens": 12}, "sample": "never"},
        {"tracer": "noisy", "sample": "never"},
    ]
    engine.start(spans={"rules": rules})
    assert not kept("healthz", **{"http.route": "/livez"})
    assert kept("healthz", **{"http.route": "/ready"})
    assert kept("GET", **{"http.route": "/livez"})
    assert not kept("any", skip=True)
    assert kept("any", skip=1)
    assert kept("any", skip="True")
    assert not kept("any", tokens=12)
    assert not kept("any", tokens=12.0)
    assert not tracer.start_span("any", attributes={"skip": True}).is_recording()
    assert not coati.get_tracer("noisy").start_span("any").is_recording()
    # What a rule has looked at is recorded once, and equal keys as ever.
    with tracer.span("twice", attributes={"a": 1, "b": 2}, a=3) as span:
        assert span.is_recording()
    (line,) = [line for line in engine.spans() if line["span"] == "twice"]
    assert line["attributes"] == {"b": 2, "a": 3}


def test_rules_look_at_the_attributes_of_a_traced_function(engine: Any) -> None:
    engine.start(spans={"rules": [{"attributes": {"agent": "a?"}, "sample": "never"}]})

    @coati.trace("plan", agent="a1")
    def never() -> bool:
        return coati.current_span().is_recording()

    @coati.trace("plan", agent="b1")
    def always() -> bool:
        return coati.current_span().is_recording()

    assert not never()
    assert always()
    assert engine.span()["attributes"] == {"agent": "b1"}


def test_rules_and_sampler_change_while_running(engine: Any) -> None:
    assert kept("any")
    coati.configure(spans={"rules": [{"name": "an*", "sample": "never"}]})
    assert not kept("any")
    assert kept("other")
    coati.configure(spans={"sampler": "always_off"})
    assert not kept("any")
    assert not kept("other")
    coati.configure(spans={"rules": [], "sampler": "parentbased_always_on"})
    assert kept("any")


def test_a_rate_lets_so_many_traces_through(engine: Any) -> None:
    engine.start(spans={"sampler": "parentbased_rate_limited", "sampler_arg": 5})
    begun = time.monotonic()
    through = sum(kept("root") for _ in range(500))
    most = 6 + 5.1 * (time.monotonic() - begun)
    assert 5 <= through <= most
    assert len(engine.spans()) == 2 * through
    # Who comes from elsewhere is not counted against it.
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"}
    for _ in range(20):
        assert tracer.start_span("entry", parent=coati.extract(headers)).is_recording()


def test_a_forked_child_has_the_rate_for_itself(program: Any) -> None:
    ran = program.run(
        """
        import os
        import coati
        coati.init("rate", config={
            "sinks": [{"type": "memory"}],
            "spans": {"sampler": "rate_limited", "sampler_arg": 0.001},
        })
        tracer = coati.get_tracer("rate")
        child = os.fork()
        first = tracer.start_span("first").is_recording()
        second = tracer.start_span("second").is_recording()
        assert (first, second) == (True, False), (first, second)
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print("both")
        """
    )
    assert "both" in ran.stdout
