"""The Universal Framework's observability on coati's engine.

Its loggers, its search for personal data, its audit trail and its router, with redaction on unless
a configuration says no, records that say whether it ran, and a trail on disk that shows changes.
"""

from coati.compat.universal.audit import EnterpriseAuditManager
from coati.compat.universal.logger import UniversalFrameworkLogger
from coati.compat.universal.pii import PIIDetector
from coati.compat.universal.router import OTLPRouter

__all__ = ["EnterpriseAuditManager", "OTLPRouter", "PIIDetector", "UniversalFrameworkLogger"]
