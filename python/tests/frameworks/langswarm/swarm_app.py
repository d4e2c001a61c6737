"""A program as LangSwarm's users have it, which knows nothing of coati."""

from __future__ import annotations

import asyncio
import logging
import sys

import langswarm_program as parts
from langswarm.core.observability import get_logger, initialize_auto_instrumentation
from langswarm.core.workflows.engine import get_workflow_engine


async def main() -> None:
    if "plain" not in sys.argv:
        initialize_auto_instrumentation()
        get_logger("shop").info("open", steps=3)
    parts.calculator()
    adding = parts.agent(("calculator__add", {"a": 1, "b": 2}), "three")
    failing = parts.agent(ConnectionError("no line"))
    good, bad = await asyncio.gather(adding.chat("1 + 2?"), failing.chat("hello"))
    done = await get_workflow_engine().execute_workflow(parts.workflow(), {"input": 21})
    print(good.success, "no line" in str(bad.content), done.result)


if __name__ == "__main__":
    logging.getLogger("langswarm").setLevel(logging.CRITICAL)
    asyncio.run(main())
