"""What is counted. Made at import time: they count from `coati.init` on."""

from __future__ import annotations

import coati

steps = coati.counter("agent_steps", description="Steps by agent and outcome")
step_time = coati.histogram("agent_step_time", unit="ms", description="Time of a step by agent")
retries = coati.counter("agent_retries", description="Second and later tries by agent and reason")
messages = coati.counter("agent_messages", description="Log lines by agent and level")
tool_calls = coati.counter("tool_calls", description="Tool calls by agent, tool and outcome")
tool_time = coati.histogram("tool_time", unit="ms", description="Time of a tool call by tool")
file_size = coati.histogram(
    "file_size",
    unit="By",
    buckets=[1_000, 3_000, 10_000, 30_000, 100_000],
    description="Sizes of the files that were read",
)
jobs_in_flight = coati.up_down_counter("jobs_in_flight", description="Jobs begun and not ended")
coverage = coati.gauge("docstring_coverage", description="Share of documented names, last job")
