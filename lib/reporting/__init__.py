"""All that speaks to people."""
