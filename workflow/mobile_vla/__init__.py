"""Fine-tune Kosmos-2 into a mobile-robot velocity policy, and compare experiments."""
