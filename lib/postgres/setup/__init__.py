"""What setup creates."""
