"""What a model is told about the company with every question."""
