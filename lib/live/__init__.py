"""Backups right after each commit, by a process that stays."""
