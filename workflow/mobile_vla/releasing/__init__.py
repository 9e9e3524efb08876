"""A policy for others: its folder with a model card that holds its scores."""
