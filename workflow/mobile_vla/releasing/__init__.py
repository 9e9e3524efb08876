"""A policy for others: a copy of its folder, with its licence."""
