"""All metrics of this process, to be read or reset."""

from coati._native import Metric, Stats, prometheus_text, reset, snapshot

__all__ = ["Metric", "Stats", "prometheus_text", "reset", "snapshot"]
