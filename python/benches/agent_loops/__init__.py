"""One agent loop in three spellings: with nothing, on coati, on the libraries it stands in for.

Each module has ``async def turn(number)``. Its telemetry is 20 log lines of 4 fields, 12 spans of 2
to 4 attributes, and 30 updates of metrics with 2 labels; its work is a model call of 50 ms and 3
tools.
"""
