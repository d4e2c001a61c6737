"""The API's stand-ins for instruments, made before there is a provider."""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import _internal as api


def resolve(provider: Any) -> None:
    """Have them record through a provider."""
    api._PROXY_METER_PROVIDER.on_set_meter_provider(provider)


def release(provider: Any) -> None:
    """Have them record through what was there before, or nowhere."""
    if provider is not None:
        return resolve(provider)
    proxies = api._PROXY_METER_PROVIDER
    with proxies._lock:
        proxies._real_meter_provider = None
        for meter in proxies._meters:
            with meter._lock:
                meter._real_meter = None
                for instrument in meter._instruments:
                    instrument._real_instrument = None
    return None
