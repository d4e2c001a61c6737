"""Names and values that a program passes on to whom it calls, as the W3C header ``baggage``.

What is set is current like spans and fields: over ``await``, in child tasks and in wrapped
executors. A change lasts until its token is detached, until the ``with`` statement ends, or until
what was current around it is left.
"""

from coati._native import Token
from coati._native import baggage_clear as clear
from coati._native import baggage_get as get
from coati._native import baggage_get_all as get_all
from coati._native import baggage_remove as remove
from coati._native import baggage_set as set

__all__ = ["Token", "clear", "get", "get_all", "remove", "set"]
