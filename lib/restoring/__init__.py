"""A restore besides its flow, which is restore.py."""
