"""A graph of agents: two editors side by side, tools of which one fails, a model that streams."""

import asyncio
import logging

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow
from autogen_agentchat.ui import Console
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, ModelFamily, ModelInfo, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient

log = logging.getLogger("desk")
INFO = ModelInfo(
    vision=False,
    function_calling=True,
    json_output=False,
    family=ModelFamily.UNKNOWN,
    structured_output=False,
)


def says(text: str, tokens: int) -> CreateResult:
    return CreateResult(
        finish_reason="stop",
        content=text,
        usage=RequestUsage(prompt_tokens=10, completion_tokens=tokens),
        cached=False,
    )


def calls(*names: str) -> CreateResult:
    return CreateResult(
        finish_reason="function_calls",
        content=[FunctionCall(id=f"call-{n}", name=n, arguments='{"topic": "rye"}') for n in names],
        usage=RequestUsage(prompt_tokens=20, completion_tokens=7),
        cached=False,
    )


def model(*answers: "CreateResult | str") -> ReplayChatCompletionClient:
    return ReplayChatCompletionClient(list(answers), model_info=INFO)


async def archive(topic: str) -> str:
    """Look into the archive."""
    log.info("looking up %s", topic)
    await asyncio.sleep(0.02)
    return "three notes"


async def phone(topic: str) -> str:
    """Call somebody."""
    log.warning("nobody answers")
    await asyncio.sleep(0.02)
    raise ConnectionError("line is dead")


async def spell(topic: str) -> str:
    """Check the spelling."""
    log.info("checking %s", topic)
    await asyncio.sleep(0.05)
    return "no mistakes"


def desk() -> GraphFlow:
    writer = AssistantAgent(
        "writer",
        model(calls("archive", "phone"), says("Rye is back.", 5)),
        tools=[archive, phone],
        reflect_on_tool_use=True,
    )
    grammar = AssistantAgent("grammar", model(calls("spell")), tools=[spell])
    facts = AssistantAgent("facts", model("The facts are right."), model_client_stream=True)
    chief = AssistantAgent("chief", model(says("Print it.", 3)))
    builder = DiGraphBuilder()
    for agent in (writer, grammar, facts, chief):
        builder.add_node(agent)
    builder.add_edge(writer, grammar).add_edge(writer, facts)
    builder.add_edge(grammar, chief).add_edge(facts, chief)
    return GraphFlow(builder.get_participants(), graph=builder.build(), name="desk")


async def main() -> None:
    result = await Console(desk().run_stream(task="Write about rye."))
    used = [message.models_usage for message in result.messages if message.models_usage]
    log.info("printed %s", [message.content for message in result.messages][-1])
    print("used:", sum(u.prompt_tokens for u in used), sum(u.completion_tokens for u in used))


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    logging.getLogger("autogen_core").setLevel("ERROR")
    asyncio.run(main())
