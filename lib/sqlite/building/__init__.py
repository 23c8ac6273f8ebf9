"""A file made from what is stored."""
