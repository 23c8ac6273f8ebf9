"""What the operator has set: read once, every problem reported at once."""
