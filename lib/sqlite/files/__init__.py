"""A SQLite file: opened, read, checked, locked, explained."""
