"""Model calls, tools, agents and workflows: spans, metrics, tokens and cost."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import coati
import coati.langchain
import genai_prices
import pytest
from coati import genai
from coati.genai import Usage, prices
from conftest import Engine, Program

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture(autouse=True)
def no_prices() -> Iterator[None]:
    yield
    genai.set_prices({})


def metric(name: str) -> list[Any]:
    return [found for found in coati.metrics.snapshot() if found.name == name]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            {
                "input_tokens": 1117,
                "output_tokens": 5,
                "cached_prompt_tokens": 100,
                "cache_creation_tokens": 1000,
            },
            Usage(1117, 5, 100, 1000, None),
            id="crewai-anthropic",
        ),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(100, 20, 80, None, 5),
            id="openai-chat",
        ),
        pytest.param(
            SimpleNamespace(
                input_tokens=100,
                output_tokens=20,
                input_tokens_details=SimpleNamespace(cached_tokens=80),
                output_tokens_details=SimpleNamespace(reasoning_tokens=5),
            ),
            Usage(100, 20, 80, None, 5),
            id="openai-responses",
        ),
        pytest.param(
            {
                "input_tokens": 10,
                "output_tokens": 20,
                "cache_creation_input_tokens": 30,
                "cache_read_input_tokens": 60,
            },
            Usage(100, 20, 60, 30),
            id="anthropic",
        ),
        pytest.param(
            SimpleNamespace(
                usage=SimpleNamespace(
                    input_tokens=10,
                    output_tokens=20,
                    cache_creation_input_tokens=None,
                    cache_read_input_tokens=None,
                )
            ),
            Usage(10, 20),
            id="anthropic-without-cache",
        ),
        pytest.param(
            {
                "inputTokens": 10,
                "outputTokens": 20,
                "totalTokens": 120,
                "cacheReadInputTokens": 90,
                "cacheWriteInputTokens": 0,
            },
            Usage(100, 20, 90, 0),
            id="bedrock",
        ),
        pytest.param(
            {
                "input_tokens": 100,
                "output_tokens": 20,
                "total_tokens": 120,
                "input_token_details": {"cache_read": 60, "cache_creation": 30},
                "output_token_details": {"reasoning": 5},
            },
            Usage(100, 20, 60, 30, 5),
            id="langchain",
        ),
        pytest.param(
            {
                "input_tokens": 100,
                "output_tokens": 20,
                "input_token_details": {
                    "cache_read": 60,
                    "cache_creation": 0,
                    "ephemeral_5m_input_tokens": 10,
                    "ephemeral_1h_input_tokens": 20,
                },
            },
            Usage(100, 20, 60, 30),
            id="langchain-anthropic-by-time",
        ),
        pytest.param(
            {
                "prompt_token_count": 100,
                "candidates_token_count": 15,
                "thoughts_token_count": 5,
                "cached_content_token_count": 80,
            },
            Usage(100, 20, 80, None, 5),
            id="gemini",
        ),
        pytest.param(
            {
                "usageMetadata": {
                    "promptTokenCount": 100,
                    "candidatesTokenCount": 15,
                    "thoughtsTokenCount": 5,
                }
            },
            Usage(100, 20, None, None, 5),
            id="gemini-rest",
        ),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "cache_creation_input_tokens": 30,
                "cache_read_input_tokens": 60,
                "prompt_tokens_details": {"cached_tokens": 60},
            },
            Usage(100, 20, 60, 30),
            id="litellm",
        ),
        pytest.param(
            SimpleNamespace(
                input_tokens=100,
                output_tokens=20,
                cache_read_tokens=60,
                cache_write_tokens=30,
                details={"reasoning_tokens": 5},
            ),
            Usage(100, 20, 60, 30, 5),
            id="pydantic-ai",
        ),
        pytest.param(
            SimpleNamespace(models_usage=SimpleNamespace(prompt_tokens=7, completion_tokens=3)),
            Usage(7, 3),
            id="autogen",
        ),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 20, "cached_prompt_tokens": 80},
            Usage(100, 20, 80),
            id="crewai",
        ),
        pytest.param(
            {"token_usage": {"prompt_tokens": 7, "completion_tokens": 3}},
            Usage(7, 3),
            id="langchain-llm-output",
        ),
        pytest.param({"prompt_eval_count": 7, "eval_count": 3}, Usage(7, 3), id="ollama"),
        pytest.param({"input_tokens": 0, "output_tokens": 0}, Usage(0, 0), id="zero"),
        pytest.param(Usage(1), Usage(1), id="itself"),
        pytest.param({"input_tokens": "7", "output_tokens": True}, None, id="no-numbers"),
        pytest.param({}, None, id="empty"),
        pytest.param(None, None, id="none"),
        pytest.param("12 tokens", None, id="text"),
        pytest.param(object(), None, id="object"),
    ],
)
def test_usage_of(source: Any, expected: Usage | None) -> None:
    assert Usage.of(source) == expected


def test_who_counts_decides_where_names_do_not() -> None:
    told = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 60}
    assert Usage.of(told, "openai") == Usage(100, 20, 60)
    assert Usage.of(told, "anthropic") == Usage(160, 20, 60)


def test_what_told_itself_is_read_again_as_it_was() -> None:
    usage = Usage(100, 20, 60, 30, 5)
    assert Usage.of(usage.attributes(), "anthropic") == usage


def test_usages_add_up() -> None:
    assert Usage(1, None, 2) + Usage(3, 4) == Usage(4, 4, 2)
    assert sum([Usage(1), Usage(2)]) == Usage(3)
    assert Usage(1) + None == Usage(1)
    assert not Usage()
    assert Usage(0)


def test_cost_counts_cached_tokens_once() -> None:
    genai.set_prices({"m": {"input": 10, "output": 40, "cache_read": 1, "cache_write": 12}})
    usage = Usage(1_000_000, 100_000, 700_000, 200_000)
    assert genai.cost("p", "m", usage) == pytest.approx(1 + 0.7 + 2.4 + 4)
    same = {"input_tokens": 100_000, "output_tokens": 100_000}
    same |= {"cache_read_input_tokens": 700_000, "cache_creation_input_tokens": 200_000}
    assert genai.cost("anthropic", "m", same) == pytest.approx(1 + 0.7 + 2.4 + 4)


def test_own_prices_by_name() -> None:
    genai.set_prices(
        {"p/m": {"input": 1}, "m": {"input": 2}, "m*": {"input": 3}, "m-1*": {"input": 4}}
    )
    million = Usage(1_000_000)
    assert genai.cost("p", "m", million) == 1
    assert genai.cost("q", "m", million) == 2
    assert genai.cost("q", "m-2", million) == 3
    assert genai.cost("q", "m-1-mini", million) == 4
    assert genai.cost("q", "m", Usage(0, 5)) is None, "no price for output"
    with pytest.raises(ValueError, match="accepted: input, output"):
        genai.set_prices({"m": {"inputs": 1}})
    with pytest.raises(ValueError, match="not an amount"):
        genai.set_prices({"m": {"input": -1}})
    for none in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not an amount"):
            genai.set_prices({"m": {"input": none}})
    assert genai.cost("p", "m", million) == 1, "what was refused changed nothing"


def test_prices_of_the_configuration(engine: Engine) -> None:
    coati.configure(genai={"prices": {"m": {"input": 2}, "n*": {"input": 3}}})
    assert genai.cost("p", "m", Usage(1_000_000)) == 2
    assert genai.cost("p", "nano", Usage(1_000_000)) == 3
    genai.set_prices({"m": {"input": 1}})
    assert genai.cost("p", "m", Usage(1_000_000)) == 1
    with pytest.raises(coati.ConfigError, match="cache_read"):
        coati.configure(genai={"prices": {"m": {"cached": 2}}})


def shown(config: dict[str, Any], tmp_path: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes of a model call in a file and in memory."""
    file = tmp_path / f"{config.get('names')}.jsonl"
    sinks = [{"type": "memory"}, {"type": "file", "path": str(file)}]
    coati.shutdown(60)
    coati.init("tests", config={"sinks": sinks, "genai": config})
    with genai.inference("m", provider="xai") as call:
        call.response(usage=Usage(10, 5, 1, 2))
    assert coati.flush(60)
    (record,) = coati.memory_records()
    (line,) = file.read_text().splitlines()
    return record["attributes"], json.loads(line)["attributes"]


def test_names_are_chosen_at_export(tmp_path: Any) -> None:
    newest = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "x_ai",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 1,
        "gen_ai.usage.cache_write.input_tokens": 2,
    }
    older = dict(newest)
    del older["gen_ai.provider.name"], older["gen_ai.usage.cache_write.input_tokens"]
    older |= {"gen_ai.system": "xai", "gen_ai.usage.cache_creation.input_tokens": 2}
    usage = "gen_ai.client.inference.usage.input_tokens"
    assert shown({}, tmp_path) == (newest, newest)
    assert metric("gen_ai.client.token.usage") == []
    assert shown({"names": "latest"}, tmp_path) == (newest, newest)
    assert metric(usage)[0].labels["gen_ai.provider.name"] == "x_ai"
    assert shown({"names": "both"}, tmp_path) == (newest | older, newest | older)
    assert metric("gen_ai.client.token.usage")
    assert metric(usage)
    assert shown({"names": "older"}, tmp_path) == (older, older)
    assert metric(usage) == []
    labels = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "xai",
        "gen_ai.request.model": "m",
    }
    tokens = {m.labels["gen_ai.token.type"]: m for m in metric("gen_ai.client.token.usage")}
    assert {kind: m.stats.sum for kind, m in tokens.items()} == {"input": 10, "output": 5}
    assert tokens["input"].labels == labels | {"gen_ai.token.type": "input"}
    (duration,) = metric("gen_ai.client.operation.duration")
    assert duration.labels == labels
    text = coati.metrics.prometheus_text()
    assert "gen_ai_client_token_usage_count{" in text
    assert "gen_ai_provider_name" not in text
    coati.configure(genai={"names": None})
    assert metric(usage)
    coati.shutdown(60)


def test_consoles_show_the_names_asked_for(program: Program) -> None:
    program.run(
        """
        import coati
        from coati import genai

        sinks = [
            {"type": "console", "format": form, "stream": stream}
            for form, stream in (("json", "stdout"), ("pretty", "stderr"))
        ]
        coati.init("s", config={"sinks": sinks})
        genai.inference("m", provider="xai").end()
        """,
        COATI_GENAI_NAMES="older",
    )
    assert json.loads(program.stdout)["attributes"]["gen_ai.system"] == "xai"
    assert "gen_ai.system=xai" in program.stderr
    assert "gen_ai.provider.name" not in program.stdout + program.stderr


def test_prices_of_the_package() -> None:
    plain = genai.cost("openai", "gpt-4o", Usage(1_000_000, 0))
    cached = genai.cost("openai", "gpt-4o", Usage(1_000_000, 0, 1_000_000))
    assert plain is not None
    assert cached is not None
    assert 0 < cached < plain
    for provider in ("aws.bedrock", "azure.ai.openai", "gcp.gemini", "x_ai", "mistral_ai"):
        model = {
            "aws.bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "azure.ai.openai": "gpt-4o",
            "gcp.gemini": "gemini-2.5-pro",
            "x_ai": "grok-4",
            "mistral_ai": "mistral-large-latest",
        }[provider]
        found = genai.cost(provider, model, Usage(1000, 100))
        assert found is not None, provider
        assert found > 0, provider
    assert genai.cost(None, "openai/gpt-4o", Usage(1_000_000, 0)) == plain
    genai.set_prices({"gpt-4o": {"input": 7.0}})
    assert genai.cost("openai", "gpt-4o", Usage(1_000_000)) == 7.0


@pytest.mark.parametrize(
    "usage",
    [
        Usage(1000, 100),
        Usage(1000, 100, 800),
        Usage(1000, 0, 300, 200),
        Usage(10),
        Usage(10, 5, 90),
    ],
)
@pytest.mark.parametrize(
    "model",
    [
        "anthropic/claude-sonnet-4-5",
        "deepseek/deepseek-chat",
        "google/gemini-2.5-pro",
        "openai/gpt-4o",
        "openai/text-embedding-3-small",
        "perplexity/sonar",
        "openai/no-such-model",
    ],
)
def test_what_is_asked_again_costs_the_same(model: str, usage: Usage) -> None:
    provider, name = model.split("/")
    try:
        counts = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        }
        price = genai_prices.calc_price(genai_prices.Usage(**counts), name, provider_id=provider)
        expected = pytest.approx(float(price.total_price))
    except (LookupError, ValueError):
        expected = None
    prices._said.clear()
    assert genai.cost(provider, name, usage) == expected
    assert genai.cost(provider, name, usage) == expected
    genai.cost(provider, name, Usage(1, 1))
    assert genai.cost(provider, name, usage) == expected


def test_what_is_unknown_costs_none() -> None:
    assert genai.cost("openai", "no-such-model", Usage(1, 1)) is None
    assert genai.cost("no-such-provider", "gpt-4o", Usage(1, 1)) is None
    assert genai.cost("openai", None, Usage(1, 1)) is None
    assert genai.cost("openai", "gpt-4o", None) is None
    assert genai.cost("openai", "gpt-4o", Usage()) is None


def test_model_call(engine: Engine) -> None:
    genai.set_prices({"gpt-4o": {"input": 2.5, "output": 10, "cache_read": 1.25}})
    request = {"temperature": 0.5, "max_tokens": 9, "stop": "END", "n": 1, "unheard_of": 1}
    with genai.inference("gpt-4o", provider="openai", request=request) as call:
        coati.get_logger("inside").info("asking")
        call.response(
            model="gpt-4o-2024-08-06",
            id="r1",
            finish_reasons="stop",
            usage={
                "prompt_tokens": 1000,
                "completion_tokens": 100,
                "prompt_tokens_details": {"cached_tokens": 800},
            },
        )
    call.end()
    call.fail("late")
    log, span = engine.records()
    assert log["span_id"] == span["span_id"]
    assert span["span"] == "chat gpt-4o"
    assert span["kind"] == "client"
    assert span["status"] == {"code": "unset"}
    cost = span["attributes"].pop("coati.usage.cost_usd")
    assert cost == pytest.approx(200 * 2.5e-6 + 800 * 1.25e-6 + 100 * 10e-6)
    assert span["attributes"] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "r1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 800,
    }
    labels = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
    }
    (duration,) = metric("gen_ai.client.inference.duration")
    assert duration.labels == labels
    assert duration.stats.count == 1
    # It begins after the span and ends before.
    assert 0 < duration.stats.sum <= span["duration_ns"] / 1e9 * 1.01
    for name, value in {
        "usage.input_tokens": 1000,
        "usage.output_tokens": 100,
        "usage.cache_read.input_tokens": 800,
    }.items():
        (counted,) = metric(f"gen_ai.client.inference.{name}")
        assert (counted.labels, counted.value) == (labels, value)
    (tokens,) = metric("gen_ai.client.inference.operation.input_tokens")
    assert tokens.stats.sum == 1000
    (dollars,) = metric("coati.usage.cost_usd")
    assert dollars.value == pytest.approx(cost)


def test_model_without_a_price_has_no_cost(engine: Engine) -> None:
    with genai.inference("home-made", provider="own") as call:
        call.response(usage=Usage(1, 1))
    assert "coati.usage.cost_usd" not in engine.span()["attributes"]
    assert metric("coati.usage.cost_usd") == []


def test_stream(engine: Engine) -> None:
    with genai.inference("m", provider="p") as call:
        for _ in range(4):
            call.chunk()
        call.first_chunk()
    attributes = engine.span()["attributes"]
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["coati.stream.chunks"] == 4
    first = attributes["gen_ai.response.time_to_first_chunk"]
    (told,) = metric("gen_ai.client.inference.time_to_first_chunk")
    assert told.stats.sum == pytest.approx(first)
    (between,) = metric("gen_ai.client.inference.time_per_output_chunk")
    assert between.stats.count == 3


def test_error(engine: Engine) -> None:
    class RefusedError(Exception):
        pass

    with pytest.raises(RefusedError), genai.inference("m", provider="p"):
        raise RefusedError("no")
    span = engine.span()
    kind = f"{__name__}.{RefusedError.__qualname__}"
    assert span["attributes"]["error.type"] == kind
    assert span["status"] == {"code": "error", "description": "no"}
    assert [event["name"] for event in span["events"]] == ["exception"]
    (duration,) = metric("gen_ai.client.inference.duration")
    assert duration.labels["error.type"] == kind


def test_agent_tells_what_it_used(engine: Engine) -> None:
    genai.set_prices({"m": {"input": 1, "output": 1}})
    with genai.agent("planner", id="a1", conversation_id="c1"):
        for _ in range(2):
            with genai.inference("m", provider="p") as call:
                call.response(usage=Usage(100, 10, 50))
        with genai.tool("search", call_id="t1") as tool:
            tool.arguments({"q": "secret"})
        with genai.retrieval("docs", provider="store"):
            pass
    *inner, agent = engine.spans()
    assert [span["span"] for span in inner] == [
        "chat m",
        "chat m",
        "execute_tool search",
        "retrieval docs",
    ]
    assert [span["kind"] for span in inner] == ["client", "client", "internal", "client"]
    assert {span["parent_span_id"] for span in inner} == {agent["span_id"]}
    assert inner[2]["attributes"] == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.id": "t1",
        "gen_ai.tool.type": "function",
    }
    assert agent["span"] == "invoke_agent planner"
    assert agent["kind"] == "internal"
    assert agent["attributes"] == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "planner",
        "gen_ai.agent.id": "a1",
        "gen_ai.conversation.id": "c1",
        "gen_ai.usage.input_tokens": 200,
        "gen_ai.usage.output_tokens": 20,
        "coati.usage.total_cost_usd": pytest.approx(220e-6),
    }
    for name, calls in {"inference_calls": 2, "tool_calls": 1}.items():
        (found,) = metric(f"gen_ai.invoke_agent.{name}")
        assert found.stats.sum == calls
        assert found.labels["gen_ai.agent.name"] == "planner"
    (client,) = metric("gen_ai.client.operation.duration")
    assert client.labels["gen_ai.operation.name"] == "retrieval"
    assert metric("gen_ai.execute_tool.duration")[0].labels["gen_ai.tool.name"] == "search"


def test_calls_of_many_threads_are_all_counted(engine: Engine) -> None:
    genai.set_prices({"m": {"input": 1}})
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with genai.agent("a") as agent:

            def work() -> None:
                for _ in range(200):
                    with genai.inference("m", provider="p", parent=agent) as call:
                        call.response(usage=Usage(1))
                    genai.tool("t", parent=agent).end()

            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(before)
    told = engine.spans()[-1]["attributes"]
    assert told["gen_ai.usage.input_tokens"] == 1600
    assert told["coati.usage.total_cost_usd"] == pytest.approx(1600e-6)
    assert metric("gen_ai.invoke_agent.inference_calls")[0].stats.sum == 1600
    assert metric("gen_ai.invoke_agent.tool_calls")[0].stats.sum == 1600


def test_parent_given_beats_the_current_one(engine: Engine) -> None:
    work = genai.workflow("w")
    with genai.agent("other"):
        inner = genai.inference("m", provider="p", parent=work)
        inner.end()
    work.end()
    spans = {span["span"]: span for span in engine.spans()}
    assert spans["chat m"]["parent_span_id"] == spans["invoke_workflow w"]["span_id"]
    (calls,) = metric("gen_ai.invoke_agent.inference_calls")
    assert calls.stats.sum == 0


def test_end_from_many_threads_counts_once(engine: Engine) -> None:
    call = genai.inference("m", provider="p")
    threads = [threading.Thread(target=call.end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.span()
    assert metric("gen_ai.client.inference.duration")[0].stats.count == 1


def test_times_of_the_past(engine: Engine) -> None:
    start = 1_700_000_000_000_000_000
    genai.tool("t", start_time=start).end(start + 2_000_000_000)
    assert engine.span()["duration_ns"] == 2_000_000_000
    assert metric("gen_ai.execute_tool.duration")[0].stats.sum == 2


def test_contents_are_kept_only_on_request(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def talk() -> None:
        with genai.inference("m", provider="p") as call:
            call.instructions("be brief")
            call.input(lambda: [{"role": "user", "content": "hello"}])
            call.output([{"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}])
        with genai.tool("t") as tool:
            tool.arguments({"q": "x", "password": "hunter2"}).result(7)

    monkeypatch.delenv(CAPTURE, raising=False)
    talk()
    assert not any(
        name in span["attributes"]
        for span in engine.spans()
        for name in ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.call.result")
    )
    monkeypatch.setenv(CAPTURE, "span_only")
    engine.start(redaction={"enabled": True})
    talk()
    chat, tool = (span["attributes"] for span in engine.spans())
    assert chat["gen_ai.system_instructions"] == [{"type": "text", "content": "be brief"}]
    assert chat["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "hello"}]}
    ]
    assert chat["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}
    ]
    assert tool["gen_ai.tool.call.arguments"] == {"q": "x", "password": "[REDACTED]"}
    assert tool["gen_ai.tool.call.result"] == 7
    coati.configure(genai={"capture_content": False})
    talk()
    assert "gen_ai.input.messages" not in engine.spans()[0]["attributes"]


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("model", [5, ["m"], Unprintable()])
def test_a_model_that_is_no_name_changes_no_exception(engine: Engine, model: Any) -> None:
    def ask() -> None:
        with genai.inference(model) as call:
            call.response(usage={"input_tokens": 1, "output_tokens": 1})
            raise KeyError

    with pytest.raises(KeyError):
        ask()
    span = engine.span()
    assert span["status"]["code"] == "error"
    assert span["attributes"]["gen_ai.usage.input_tokens"] == 1


@pytest.mark.parametrize("when", [1.5, -1, 2**70, float("nan"), "now"])
def test_what_is_told_wrongly_harms_nobody(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, when: Any
) -> None:
    monkeypatch.setenv(CAPTURE, "span_only")
    engine.start()
    wrong: Any = [1, 2]
    call = genai.inference("m", provider=Unprintable(), start_time=when, request=wrong)
    call.request(wrong).set(wrong)
    call.input({"role": "user", "content": "hello", "tool_calls": 5})
    call.output(lambda: 1 // 0).instructions(lambda: 1 // 0)
    call.arguments(lambda: 1 // 0).result(lambda: 1 // 0)
    call.fail(wrong, wrong)
    call.end(when)
    told = engine.records()
    (span,) = (record for record in told if record.get("span") == "chat m")
    assert span["attributes"]["gen_ai.input.messages"][0]["parts"][0]["content"] == "hello"
    assert "gen_ai.output.messages" not in span["attributes"]
    assert span["status"] == {"code": "error", "description": "[1, 2]"}


def test_what_cannot_be_told_ends_the_span(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coati.genai.operation.cost", lambda *given: 1 / 0)
    with genai.inference("m") as call:
        call.response(usage={"input_tokens": 1, "output_tokens": 1})
    assert engine.span()["span"] == "chat m"


def test_a_generator_that_is_left_early_has_not_failed(engine: Engine) -> None:
    def answers() -> Iterator[int]:
        with genai.agent("a"):
            yield 1
            yield 2

    left = answers()
    next(left)
    left.close()
    span = engine.span()
    assert span["status"]["code"] == "unset"
    assert "error.type" not in span["attributes"]


def test_provider_names() -> None:
    assert genai.provider_name("google_genai") == "gcp.gemini"
    assert genai.provider_name("Azure OpenAI") == "azure.ai.openai"
    assert genai.provider_name("bedrock") == "aws.bedrock"
    assert genai.provider_name("xai") == "x_ai"
    assert genai.provider_name("openai") == "openai"
    assert genai.provider_name(None) == "unknown"


def test_before_init_and_after_shutdown() -> None:
    coati.shutdown(60)
    with genai.agent("a"), genai.inference("m", provider="p") as call:
        call.chunk()
        call.response(usage=Usage(1, 1))
        call.fail("late")


def test_steps_and_own_spans_lie_between(engine: Engine) -> None:
    worker = genai.agent("planner")
    step = genai.step("task look", parent=worker)
    own = coati.get_tracer("own").start_span("own", parent=step.span)
    call = genai.inference("m", provider="openai", parent=own, within=step)
    call.response(usage=Usage(10, 2)).end()
    own.end()
    step.end()
    worker.end()
    spans = {span["span"]: span for span in engine.spans()}
    parents = {name: span.get("parent_span_id") for name, span in spans.items()}
    assert parents == {
        "chat m": spans["own"]["span_id"],
        "own": spans["task look"]["span_id"],
        "task look": spans["invoke_agent planner"]["span_id"],
        "invoke_agent planner": None,
    }
    assert "attributes" not in spans["task look"]
    assert spans["invoke_agent planner"]["attributes"]["gen_ai.usage.input_tokens"] == 10
    durations = metric("gen_ai.client.operation.duration")
    assert not [found for found in durations if "gen_ai.operation.name" not in found.labels]


def test_a_missing_langchain_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coati.langchain._handler._Base", object)
    with pytest.raises(ImportError, match="pip install langchain-core"):
        coati.langchain.install()
    coati.langchain.uninstall()
