"""Workflows and their steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coati import genai
from coati.agents._observation import Observation
from coati.agents._observer import Observer
from coati.agents._run import innermost


@Observer
def workflow(
    name: str | None = None,
    /,
    *,
    attributes: Mapping[str, Any] | None = None,
) -> Observation:
    """A workflow: spans ``invoke_workflow {name}``.

    Args:
        name: the workflow.
        attributes: more attributes of the span.
    """

    def begin(name: str, start_time: int | None, given: dict[str, Any]) -> genai.Operation:
        given["gen_ai.workflow.name"] = name
        return genai.workflow(
            name, tracer="coati.agents.workflow", start_time=start_time, attributes=given
        )

    return Observation("workflow", name, begin, attributes or {})


@Observer
def step(
    name: str | None = None,
    /,
    *,
    type: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Observation:
    """A step of a workflow: a span of its name, ``step {name}``.

    Args:
        name: the step.
        type: what sort of step it is.
        attributes: more attributes of the span.
    """

    def begin(name: str, start_time: int | None, given: dict[str, Any]) -> genai.Operation:
        around = innermost()
        if around is not None and "workflow" in around._within:
            given["gen_ai.workflow.name"] = around._within["workflow"]
        return genai.step(
            f"step {name}", tracer="coati.agents.step", start_time=start_time, attributes=given
        )

    return Observation("step", name, begin, {"coati.step.type": type, **(attributes or {})})
