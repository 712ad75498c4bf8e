"""The append-only record of privileged actions: a hash chain for each workspace, and one for the platform."""
