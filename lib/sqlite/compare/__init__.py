"""Two files, row by row."""
