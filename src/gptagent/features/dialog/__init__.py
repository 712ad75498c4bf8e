"""The turn: gather a burst, gate, build the context, generate, check, send - once.

Order and exactly-once come from the lane table (one row per conversation), not from the job queue: a job is
only a wake-up. docs/architecture.md has the picture.
"""
