"""Letters to people: rendered in their language, kept sealed, sent by a job."""
