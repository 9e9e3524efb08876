"""The prompt-swap test: predictions under other prompts."""
