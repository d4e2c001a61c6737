"""Any value as JSON: what ``json`` takes, and a text for all else."""

from __future__ import annotations

import base64
import json
import math
from datetime import datetime
from enum import Enum
from json import encoder
from typing import Any

__all__ = ["encode", "key_of", "plain"]

#: Deeper values are given as texts.
_DEPTH = 64
#: No parser takes more digits.
_BITS = 14_000


def plain(value: Any, depth: int = 0) -> Any:
    """The value made of what JSON has, as coati's own lines show it."""
    if value is None or type(value) in {str, bool}:
        return value
    if depth < _DEPTH and isinstance(value, dict):
        return {key_of(key): plain(one, depth + 1) for key, one in value.items()}
    if depth < _DEPTH and isinstance(value, list | tuple):
        return [plain(one, depth + 1) for one in value]
    return _simple(value)


def _simple(value: Any) -> Any:
    found: Any
    if isinstance(value, Enum):
        found = plain(value.value)
    elif isinstance(value, float):
        found = float(value) if math.isfinite(value) else _NOT_FINITE.get(value, "NaN")
    elif type(value) is int and value.bit_length() < _BITS:
        found = value
    elif isinstance(value, bytes):
        found = base64.b64encode(value).decode()
    elif isinstance(value, datetime):
        found = value.isoformat()
    else:
        found = hex(value) if isinstance(value, int) else _text(value)
    return found


_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def key_of(key: Any) -> str:
    """As ``json`` writes keys."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool | int | float):
        return json.dumps(key)
    return _text(key)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"


def _encoder() -> Any:
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(allow_nan=False).encode
    # What `JSONEncoder` makes anew for each value.
    chunks = make(None, _refuse, encoder.encode_basestring_ascii, None, ": ", ", ", *_OPTIONS)
    return lambda value: "".join(chunks(value, 0))


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is none of JSON's")


#: Neither sorted nor lacking keys, and no NaN.
_OPTIONS = (False, False, False)
_strict = _encoder()


def encode(value: Any) -> str:
    """As ``json.dumps`` writes it, and never failing."""
    try:
        return _strict(value)  # type: ignore[no-any-return]
    except Exception:
        return _strict(plain(value))  # type: ignore[no-any-return]
