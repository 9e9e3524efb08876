"""The feature store: the frozen prefix's output, computed once and shared by experiments."""
