"""Trying it: checks, the scratch round trip, the demo and what they need."""
