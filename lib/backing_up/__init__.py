"""A backup besides its flow, which is backup.py."""
