"""What the agent would answer, for a colleague who writes: made on request, never sent by itself."""
