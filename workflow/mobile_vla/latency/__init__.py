"""Time of a control step, by number format."""
