"""What of a request names a person, and what a provider of models is told in its place."""
