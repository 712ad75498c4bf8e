"""A fake OpenAI-compatible model: chat completions, streamed or not, embeddings, faults on demand."""
