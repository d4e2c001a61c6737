"""Programs on libraries that observe agents through OpenTelemetry."""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
from typing import Any

import openai
from conftest import Engine
from openai import AsyncOpenAI, OpenAI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from peer import Providers, Recorded, instrumented, on_coati, on_sdk, plain

#: How many spans each program makes.
SPANS = {"openllmetry": 7, "openinference": 7, "langsmith": 4, "langfuse": 4}


def run(kit: str, url: str) -> dict[str, Recorded]:
    """Run all of them on one kit."""
    warnings.simplefilter("ignore")
    os.environ["LANGSMITH_TRACING"] = "true"
    return {name: run_one(kit, program, url) for name, program in PROGRAMS.items()}


def run_one(kit: str, called: Any, url: str) -> Recorded:
    """Run one of them."""
    seen: list[Any] = []

    def program(providers: Providers) -> None:
        seen.extend(called(providers, url) or ())

    recorded = on_sdk(program) if kit == "sdk" else on_coati(Engine(), program)
    recorded.seen = seen
    return recorded


def chat(url: str) -> None:
    """What an OpenAI client is used for."""
    client = OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
    messages: list[Any] = [{"role": "user", "content": "The capital of France?"}]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, temperature=0.5)
    assert answer.choices[0].message.content == "Paris."
    tool: Any = {
        "type": "function",
        "function": {"name": "look", "description": "Look", "parameters": {"type": "object"}},
    }
    client.chat.completions.create(model="gpt-4o", messages=messages, tools=[tool])
    pieces = client.chat.completions.create(
        model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    text = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
    assert text == "Paris."
    try:
        client.chat.completions.create(model="broken", messages=messages)
    except openai.BadRequestError:
        pass
    else:
        raise AssertionError("there is no such model")

    async def later() -> None:
        async with AsyncOpenAI(api_key="none", base_url=f"{url}/v1") as client:
            create = client.chat.completions.create
            await asyncio.gather(*(create(model="gpt-4o", messages=messages) for _ in "ab"))

    asyncio.run(later())


def openllmetry(providers: Providers, url: str) -> None:
    """Traceloop's instrumentation of OpenAI."""
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor  # noqa: PLC0415

    instrumented(OpenAIInstrumentor, providers, lambda: chat(url))


def openinference(providers: Providers, url: str) -> None:
    """Arize's instrumentation of OpenAI."""
    from openinference.instrumentation.openai import OpenAIInstrumentor  # noqa: PLC0415

    instrumented(OpenAIInstrumentor, providers, lambda: chat(url))


def langsmith(providers: Providers, url: str) -> None:
    """LangSmith's runs, which its OpenTelemetry mode makes spans of."""
    from langsmith import Client, traceable  # noqa: PLC0415

    client = Client(
        api_url=url,
        api_key="none",
        otel_tracer_provider=providers[0],
        tracing_mode="otel",
    )

    @traceable(run_type="tool", client=client)
    def look(at: int) -> str:
        return f"looked at {at}"

    @traceable(run_type="llm", client=client, metadata={"ls_model_name": "gpt-4o"})
    def model(question: str) -> dict[str, Any]:
        return {"answer": question[::-1]}

    @traceable(client=client)
    def broken() -> None:
        raise ValueError("too bad")

    @traceable(client=client)
    def agent(question: str) -> str:
        look(1)
        model(question)
        with contextlib.suppress(ValueError):
            broken()
        return "done"

    assert agent("why?") == "done"
    client.flush()


def langfuse(providers: Providers, url: str) -> list[Any]:
    """Langfuse's observations, and its own processor beside."""
    from langfuse import Langfuse  # noqa: PLC0415

    exporter = InMemorySpanExporter()
    client = Langfuse(
        public_key="pk",
        secret_key="sk",
        base_url=url,
        tracer_provider=providers[0],
        span_exporter=exporter,
    )
    with client.start_as_current_observation(as_type="agent", name="agent", input="why?") as agent:
        with client.start_as_current_observation(as_type="tool", name="look") as tool:
            tool.update(output={"found": 1})
        with client.start_as_current_observation(
            as_type="generation", name="model", model="gpt-4o", input=[{"role": "user"}]
        ) as model:
            model.update(output="because", usage_details={"input": 12, "output": 3})
        with client.start_as_current_observation(as_type="span", name="step") as step:
            step.update(level="ERROR", status_message="too bad")
        agent.update(output="because")
    client.flush()
    told = [(span.name, plain(span.attributes or {})) for span in exporter.get_finished_spans()]
    return sorted(told, key=str)


#: In an order: the last one cannot be taken out again.
PROGRAMS: dict[str, Any] = {
    "openinference": openinference,
    "langsmith": langsmith,
    "langfuse": langfuse,
    "openllmetry": openllmetry,
}
