"""Training: batches, the loop, and the history it leaves."""
