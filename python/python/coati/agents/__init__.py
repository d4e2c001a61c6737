"""Components of agent systems observed: a log line, a span and metrics in one call.

``agent``, ``tool``, ``model``, ``memory``, ``workflow``, ``step`` and ``session`` are each a
``with`` or ``async with`` statement, a decorator, and with ``record`` a function for what has
happened already. Names are OpenTelemetry's for generative AI; ``configure`` adds those of other
systems.
"""

from coati.agents._agent import agent
from coati.agents._configuration import configure
from coati.agents._finished import Finished
from coati.agents._memory import memory
from coati.agents._model import model
from coati.agents._observable import Observable, ObservableMixin, Operation
from coati.agents._observation import Observation
from coati.agents._profile import Profile, profile
from coati.agents._run import Run
from coati.agents._session import session
from coati.agents._tool import tool
from coati.agents._workflow import step, workflow

__all__ = [
    "Finished",
    "Observable",
    "ObservableMixin",
    "Observation",
    "Operation",
    "Profile",
    "Run",
    "agent",
    "configure",
    "memory",
    "model",
    "profile",
    "session",
    "step",
    "tool",
    "workflow",
]
