"""Rows as CSV lines and as cells."""
