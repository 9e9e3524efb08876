"""One module a figure, and the style that they share."""
