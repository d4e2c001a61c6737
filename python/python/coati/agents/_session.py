"""Sessions: who talks, and about what all that is recorded inside is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coati import genai, histogram
from coati.agents._finished import Finished
from coati.agents._observation import Observation
from coati.agents._observer import Observer


@Observer
def session(
    name: str | None = None,
    /,
    *,
    user_id: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Observation:
    """A session: a span ``session``. Every record inside has ``session.id``, ``user.id`` and
    ``gen_ai.conversation.id``, spans of agents, tools and models included; other spans have the
    first two through the session's own span, which is around them.

    Args:
        name: the session's id.
        user_id: who talks.
        attributes: more attributes of the span.
    """
    ids = {"session.id": name, "user.id": user_id, "gen_ai.conversation.id": name}

    def begin(name: str, start_time: int | None, given: dict[str, Any]) -> genai.Operation:
        return genai.step(
            "session", tracer="coati.agents.session", start_time=start_time, attributes=given
        )

    return _Session(
        "session",
        name,
        begin,
        {**ids, **(attributes or {})},
        fields=ids,
        metrics=(_duration,),
    )


class _Session(Observation):
    __slots__ = ()

    def message(self, name: str) -> str:
        """As the span: an id in it would make each line another one."""
        return "session"


def _duration(finished: Finished) -> None:
    labels = {"error.type": finished.error} if finished.error is not None else {}
    histogram("coati.session.duration", "s", "Duration of sessions").record(
        finished.seconds, **labels
    )
