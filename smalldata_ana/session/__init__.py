"""The prompt: the only place with a question or a figure."""
