"""Personal data: found and masked, wherever it stands in a value."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from coati.compat.universal._patterns import for_key, in_text
from coati.compat.universal._trouble import text_of

__all__ = ["PIIDetector"]

#: Stands for what could not be looked through.
WITHHELD = "[WITHHELD]"
_DEPTH = 64
#: Longer integers are none of what is looked for.
_BITS = 128
#: What a value becomes by its name, or that of what it is in.
_Rule = Callable[[str], "str | None"] | None
_OFF = ("enabled", "redaction_enabled", "pii_redaction_enabled", "enable_pii_redaction")


class PIIDetector:
    """Masks e-mail addresses, phones, social security numbers and card numbers.

    A phone is a number with a country code, ten digits in groups, or what a name such as
    ``mobile`` says to be one; ten digits in a row are none. A card number has its check digit.

    Args:
        config: a mapping or an object; ``enabled`` (or ``redaction_enabled``,
            ``pii_redaction_enabled``, ``enable_pii_redaction``) False switches it off, ``salt``
            goes into hashes of sessions, ``patterns`` maps regular expressions to what stands for
            what they find.
    """

    def __init__(self, config: Any = None) -> None:
        self.config = config
        #: On unless it is switched off.
        self.enabled = all(self._setting(name, True) is not False for name in _OFF)
        salt, patterns = self._setting("salt", ""), self._setting("patterns", None)
        self._salt = salt if isinstance(salt, str) else ""
        own = patterns if isinstance(patterns, Mapping) else {}
        self._patterns = [(re.compile(pattern), str(mask)) for pattern, mask in own.items()]

    def _setting(self, name: str, default: Any) -> Any:
        if isinstance(self.config, Mapping):
            return self.config.get(name, default)
        return getattr(self.config, name, default)

    def is_enabled(self) -> bool:
        """Whether it masks anything."""
        return self.enabled

    def redact_pii(self, text: Any) -> Any:
        """The text with what is personal masked; what is no text is looked through."""
        if not isinstance(text, str):
            return self.redact_metadata(text)
        return self._text(text) if self.enabled else text

    def redact_metadata(self, obj: Any) -> Any:
        """A copy with what is personal masked: in texts, lists, tuples, sets and dicts, at any
        depth, in names and values."""
        return self._value(obj, None, ()) if self.enabled else obj

    def hash_session_id(self, session_id: Any) -> str:
        """``session_hash_`` and 16 hexadecimal digits, the same for the same session."""
        content = f"{self._salt}{session_id}".encode(errors="replace")
        return f"session_hash_{hashlib.sha256(content).hexdigest()[:16]}"

    def _text(self, text: str) -> str:
        try:
            text = in_text(text)
            for pattern, mask in self._patterns:
                text = pattern.sub(mask, text)
            return text
        except Exception:
            return WITHHELD

    def _value(self, value: Any, rule: _Rule, inside: tuple[int, ...]) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (str, int, float)):
            return self._plain(value, rule)
        if len(inside) > _DEPTH or id(value) in inside:
            # Very deep, or in a circle.
            return WITHHELD
        inside = (*inside, id(value))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return self._mapping(value, rule, inside)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._several(value, rule, inside)
        return self._other(value, rule)

    def _mapping(self, value: Any, rule: _Rule, inside: tuple[int, ...]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        alike: dict[Any, int] = {}
        for name, one in value.items():
            known = masked = self._name(name, inside)
            while masked in found:
                # Names that differ may be masked alike.
                number = alike[known] = alike.get(known, 1) + 1
                masked = f"{text_of(known)}_{number}"
            found[masked] = self._value(one, for_key(_key(name)) or rule, inside)
        return found

    def _name(self, name: Any, inside: tuple[int, ...]) -> Any:
        if isinstance(name, str) and not isinstance(name, Enum):
            return self._text(str.__str__(name))
        if name is None or isinstance(name, (int, float, Enum, tuple, frozenset)):
            masked = self._value(name, None, inside)
            try:
                hash(masked)
            except TypeError:
                return self._text(text_of(name))
            return masked
        return self._other(name, None)

    def _several(self, value: Any, rule: _Rule, inside: tuple[int, ...]) -> Any:
        masked = [self._value(one, rule, inside) for one in value]
        if isinstance(value, tuple):
            return tuple(masked)
        return masked if isinstance(value, list) else type(value)(masked)

    def _plain(self, value: Any, rule: _Rule) -> Any:
        if isinstance(value, float):
            return (rule(str(int(value))) if rule and value.is_integer() else None) or value
        if isinstance(value, int) and value.bit_length() >= _BITS:
            return value
        # Not as a class of the program's own may show it.
        text = str.__str__(value) if isinstance(value, str) else int.__repr__(value)
        masked = (rule(text.strip()) if rule else None) or self._text(text)
        return value if masked == text else masked

    def _other(self, value: Any, rule: _Rule) -> Any:
        """An object as it is, unless what it would be shown as has something to be masked."""
        held = value.value if isinstance(value, Enum) else value
        shown = held.decode("utf-8", "replace") if isinstance(held, bytes) else text_of(held)
        masked = (rule(shown.strip()) if rule else None) or self._text(shown)
        return value if masked == shown else masked


def _key(name: Any) -> str:
    return str.__str__(name) if isinstance(name, str) else text_of(name)
