"""The vision-language model: checkpoints, random or from outside, and its structure."""
