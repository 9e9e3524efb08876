"""The heads: what turns a window's readouts into a chunk of actions."""
