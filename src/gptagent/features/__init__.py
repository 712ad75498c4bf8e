"""One folder per noun. A feature imports only features listed before it in docs/architecture.md."""
