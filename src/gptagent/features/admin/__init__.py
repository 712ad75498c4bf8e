"""Administration of the platform, and the record of privileged actions as people read it."""
