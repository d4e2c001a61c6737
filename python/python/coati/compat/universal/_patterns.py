"""What personal data looks like in a text, and by which name it goes in a record."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

EMAIL, PHONE = "[EMAIL_REDACTED]", "[PHONE_REDACTED]"
SSN, CARD = "[SSN_REDACTED]", "[CC_REDACTED]"

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}(?![\w-])")
#: Digits in one piece, or in groups with one kind of space or hyphen between them.
_CARD = re.compile(
    r"(?<![\w.-])[2-6](?:\d{12,18}|\d{3}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{3}([ -])\d{6}\2\d{4,5})"
    r"(?![\w-])(?!\.\d)"
)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
#: With a country code; or ten digits in three groups with something between them.
_ABROAD = re.compile(r"(?<![\w+])\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}(?!\d)")
_GROUPS = re.compile(
    r"(?<![\w.-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}"
    r"(?![\w-])(?!\.\d)"
)

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_PHONES = frozenset({"phone", "phones", "telephone", "tel", "mobile", "cell", "fax", "whatsapp"})
_CARDS = frozenset({"card", "creditcard", "cc", "pan", "cardnumber"})
_SSNS = frozenset({"ssn", "ssns"})


def luhn(digits: str) -> bool:
    """Whether the last digit is the one that the others ask for."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _card(found: re.Match[str]) -> str:
    digits = _digits(found[0])
    return CARD if 13 <= len(digits) <= 19 and luhn(digits) else found[0]


def _abroad(found: re.Match[str]) -> str:
    return PHONE if 8 <= len(_digits(found[0])) <= 15 else found[0]


def in_text(text: str) -> str:
    """The text without addresses, numbers of cards and of social security, and phones."""
    if "@" in text:
        text = _EMAIL.sub(EMAIL, text)
    if not any(map(str.isdigit, text)):
        return text
    text = _CARD.sub(_card, text)
    text = _SSN.sub(SSN, text)
    text = _ABROAD.sub(_abroad, text)
    return _GROUPS.sub(PHONE, text)


def for_key(key: str) -> Callable[[str], str | None] | None:
    """What makes a mask, or None, of a value whose name says what it is; None for other names."""
    try:
        return _known[key]
    except KeyError:
        found = _for_key(key)
    if len(_known) >= _ROOM:
        _known.clear()
    _known[key] = found
    return found


def _for_key(key: str) -> Callable[[str], str | None] | None:
    words = [word.lower() for word in _WORDS.findall(key)]
    if not _COUNTED.isdisjoint(words):
        return lambda text: None
    if not _PHONES.isdisjoint(words):
        return lambda text: PHONE if 7 <= len(_digits(text)) <= 15 and _bare(text) else None
    if not _SSNS.isdisjoint(words) or ("social", "security") in pairwise(words):
        return lambda text: SSN if len(_digits(text)) == 9 and _bare(text) else None
    if not _CARDS.isdisjoint(words):
        return lambda text: CARD if 12 <= len(_digits(text)) <= 19 and _bare(text) else None
    return None


_ROOM = 4096
_known: dict[str, Callable[[str], str | None] | None] = {}
#: Of `phone_count` the value is no phone.
_COUNTED = frozenset({"count", "counts", "total", "length", "size", "id", "ids", "index"})


def _bare(text: str) -> bool:
    return re.fullmatch(r"[\d\s().+/-]+(?:x\d+)?", text) is not None
