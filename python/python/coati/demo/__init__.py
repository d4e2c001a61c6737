"""`coati demo`: a swarm of agents reads Python's own standard library, and is watched doing it."""

from .command import main

__all__ = ["main"]
