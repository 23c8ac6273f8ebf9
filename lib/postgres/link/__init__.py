"""The way to the server, and what may happen on it."""
