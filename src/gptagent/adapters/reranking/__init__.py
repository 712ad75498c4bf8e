"""The order of passages by a reranking model, through the guarded egress."""
