"""The packages whose versions can change what a model computes, by what is done with it."""

ENCODING = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
"""What a forward pass goes through, the tokenizer of its prompts included."""
PREDICTING = (*ENCODING, "peft")
TRAINING = (*PREDICTING, "accelerate")
