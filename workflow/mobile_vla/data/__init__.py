"""What a dataset is: manifest, split, prompts, frames, windows and mirror images."""
