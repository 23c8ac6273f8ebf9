"""Snapshots of the live file."""
