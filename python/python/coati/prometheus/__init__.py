"""``prometheus_client`` with native cells: the same names, the same text, a fraction of the time.

It needs neither ``coati.init`` nor ``prometheus_client``. Each registry is a world of its own; what
is in the default one, ``REGISTRY``, is shown by the engine, too, wherever that shows metrics.
"""

from coati.prometheus._install import install, is_installed, uninstall
from coati.prometheus.collectors import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from coati.prometheus.exposition import (
    CONTENT_TYPE_LATEST,
    CONTENT_TYPE_PLAIN_0_0_4,
    CONTENT_TYPE_PLAIN_1_0_0,
    generate_latest,
    write_to_textfile,
)
from coati.prometheus.metrics import (
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    disable_created_metrics,
    enable_created_metrics,
)
from coati.prometheus.metrics_core import Metric
from coati.prometheus.registry import REGISTRY, CollectorRegistry
from coati.prometheus.server import (
    MetricsHandler,
    make_asgi_app,
    make_wsgi_app,
    start_http_server,
    start_wsgi_server,
)

__all__ = [
    "CONTENT_TYPE_LATEST",
    "CONTENT_TYPE_PLAIN_0_0_4",
    "CONTENT_TYPE_PLAIN_1_0_0",
    "GC_COLLECTOR",
    "PLATFORM_COLLECTOR",
    "PROCESS_COLLECTOR",
    "REGISTRY",
    "CollectorRegistry",
    "Counter",
    "Enum",
    "GCCollector",
    "Gauge",
    "Histogram",
    "Info",
    "Metric",
    "MetricsHandler",
    "PlatformCollector",
    "ProcessCollector",
    "Summary",
    "disable_created_metrics",
    "enable_created_metrics",
    "generate_latest",
    "install",
    "is_installed",
    "make_asgi_app",
    "make_wsgi_app",
    "start_http_server",
    "start_wsgi_server",
    "uninstall",
    "write_to_textfile",
]
