"""Which packages have an adapter."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from coati.run import otel

__all__ = ["ADAPTERS", "Adapter"]


def _install(adapter: ModuleType) -> Any:
    return adapter.install()


def _uninstall(adapter: ModuleType) -> Any:
    return adapter.uninstall()


class Adapter(NamedTuple):
    """What stands between a package and coati."""

    #: What it is called on the command line and in reports.
    name: str
    #: The module whose import it waits for; of several, with spaces between them, each.
    waits_for: str
    #: What the package index calls the package; empty for the standard library.
    distribution: str
    #: The adapter itself, and how it is attached and taken away.
    module: str
    attach: Callable[[ModuleType], Any] = _install
    detach: Callable[[ModuleType], Any] = _uninstall
    #: What the module has if it is the package's, and not another of the same name.
    known_by: str = ""

    def load(self) -> ModuleType:
        """The adapter."""
        return importlib.import_module(self.module)

    def version(self) -> str | None:
        """The version of the package, or None where it is not installed."""
        from importlib import metadata  # noqa: PLC0415 - only `--list` asks

        package = self.waits_for.partition(".")[0]
        if importlib.util.find_spec(package) is None:
            return None
        if not self.distribution:
            return "standard library"
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return "unknown version"


def _beside(adapter: ModuleType) -> Any:
    """The program's own output stays as it is."""
    return adapter.install(beside=True)


def _autogen(adapter: ModuleType) -> Any:
    """Teams only where the program has them."""
    return adapter.install(teams="autogen_agentchat.teams" in sys.modules)


_AUTOGEN = "autogen_core autogen_agentchat.teams"
_OTEL = "opentelemetry.trace opentelemetry.metrics opentelemetry._logs"
#: One line each; `coati run --list` shows them in this order.
ADAPTERS = (
    Adapter("logging", "logging", "", "coati.logging", _beside),
    Adapter("structlog", "structlog", "structlog", "coati.structlog"),
    Adapter("loguru", "loguru", "loguru", "coati.loguru", _beside),
    # LangChain imports this at its first run.
    Adapter("langchain", "langchain_core.tracers.context", "langchain-core", "coati.langchain"),
    Adapter("crewai", "crewai.events.event_bus", "crewai", "coati.crewai"),
    Adapter("llama_index", "llama_index_instrumentation", "llama-index-core", "coati.llama_index"),
    Adapter("opentelemetry", _OTEL, "opentelemetry-api", "coati.otel", otel.attach, otel.detach),
    Adapter(
        "openai_agents",
        "agents.tracing",
        "openai-agents",
        "coati.openai_agents",
        known_by="TracingProcessor",
    ),
    Adapter("autogen", _AUTOGEN, "autogen-core", "coati.autogen", _autogen),
    Adapter("pydantic_ai", "pydantic_ai", "pydantic-ai-slim", "coati.pydantic_ai"),
    Adapter("kaizen", "kaizen.core.autonomy", "kailash-kaizen", "coati.compat.kaizen"),
    Adapter("langswarm", "langswarm.core.observability", "langswarm", "coati.compat.langswarm"),
    Adapter("multiprocessing", "multiprocessing.spawn", "", "coati.run.children"),
    Adapter("prometheus_client", "prometheus_client", "prometheus-client", "coati.prometheus"),
)
