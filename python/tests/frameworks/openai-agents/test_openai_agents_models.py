"""The SDK's own models on a transport that answers by itself, and the rarer kinds of spans."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import coati.openai_agents
import openai
import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    mcp_tools_span,
    speech_group_span,
    speech_span,
    trace,
    transcription_span,
)
from agents.tracing import function_span
from conftest import Engine
from span_tree import Tree

ANSWER = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-4o-mini-2024-07-18",
    "temperature": 0.5,
    "top_p": 1.0,
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "By train.", "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 120,
        "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": 150,
    },
}
COMPLETION = {
    "id": "chat_1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "By train."},
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}


class Client(openai.AsyncOpenAI):
    """Answers by itself."""

    def __init__(self, answer: Any, base_url: str = "https://api.openai.com/v1") -> None:
        super().__init__(api_key="none", base_url=base_url, max_retries=0)
        self.answer = answer

    async def post(self, path: str, *, cast_to: Any, **_: Any) -> Any:
        """What has been given, as the client would read it."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return cast_to.construct(**self.answer) if cast_to else self.answer


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    coati.openai_agents.install()
    yield
    coati.openai_agents.uninstall()


def run(model: Any) -> str:
    agent = Agent(name="helper", model=model)
    return str(asyncio.run(Runner.run(agent, "How?", run_config=RunConfig())).final_output)


def test_responses(engine: Engine) -> None:
    assert run(OpenAIResponsesModel("gpt-4o-mini", Client(ANSWER))) == "By train."
    call = Tree(engine.records()).one("chat gpt-4o-mini-2024-07-18")
    assert call["kind"] == "client"
    about = call["attributes"]
    assert about["gen_ai.provider.name"] == "openai"
    assert about["gen_ai.response.id"] == "resp_1"
    assert about["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
    assert about["gen_ai.response.finish_reasons"] == ["completed"]
    assert about["gen_ai.request.temperature"] == 0.5
    assert about["gen_ai.usage.input_tokens"] == 120
    assert about["gen_ai.usage.cache_read.input_tokens"] == 100
    assert about["gen_ai.usage.reasoning.output_tokens"] == 8
    assert "gen_ai.output.messages" not in about


def test_chat_completions_of_another_host(engine: Engine) -> None:
    client = Client(COMPLETION, "https://models.example:8443/v1")
    assert run(OpenAIChatCompletionsModel("meta/llama", client)) == "By train."
    about = Tree(engine.records()).one("chat meta/llama")["attributes"]
    assert about["gen_ai.provider.name"] == "meta"
    assert about["server.address"] == "models.example"
    assert about["server.port"] == 8443
    assert about["gen_ai.usage.input_tokens"] == 12
    assert about["gen_ai.usage.output_tokens"] == 3


def test_a_model_that_fails(engine: Engine) -> None:
    with pytest.raises(ConnectionError):
        run(OpenAIResponsesModel("gpt-4o-mini", Client(ConnectionError("away"))))
    call = Tree(engine.records()).one("chat")
    assert call["status"] == {"code": "error", "description": "away"}
    assert call["attributes"]["error.type"] == "ConnectionError"
    assert call["events"][0]["attributes"]["exception.type"] == "ConnectionError"


def test_speech_and_servers(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    engine.start()
    with trace("voice"):
        with transcription_span(model="whisper-1", input="UklGRg==", output="Hello."):
            pass
        with speech_group_span("Hello."), speech_span(model="tts-1", input="Hi.") as speech:
            speech.span_data.output = "UklGRg=="
            speech.span_data.first_content_at = "2026-01-01T00:00:00Z"
        with mcp_tools_span(server="files") as listed:
            listed.span_data.result = ["read", "write"]
        with function_span("read", input='{"path": "x"}', output="text") as read:
            read.span_data.mcp_data = {"server": "files"}
            read.set_error({"message": "went wrong", "data": None})
    records = engine.records()
    tree = Tree(records)
    tree.check_connected()
    assert tree.one("speech_to_text whisper-1")["attributes"]["gen_ai.output.messages"]
    said = tree.one("text_to_speech tts-1")
    assert tree.path(said["span_id"])[-2] == "speech_group"
    assert said["attributes"]["openai_agents.first_content_at"] == "2026-01-01T00:00:00Z"
    # Sound is no text.
    assert "UklGRg==" not in json.dumps(records)
    listing = tree.one("list_tools")["attributes"]
    assert listing["openai_agents.mcp.server"] == "files"
    assert listing["openai_agents.mcp.tools"] == ["read", "write"]
    read_span = tree.one("execute_tool read")
    assert read_span["attributes"]["openai_agents.mcp.server"] == "files"
    assert read_span["status"] == {"code": "error", "description": "went wrong"}
