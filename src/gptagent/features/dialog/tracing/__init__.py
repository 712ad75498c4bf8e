"""What a turn did, frozen beside it: the prompt, passages, gates, calls, times."""
