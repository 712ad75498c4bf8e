"""The pages of models that are used only where they were measured to help: embeddings and reranking."""
