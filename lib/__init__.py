"""Hybrid backup: a bot's SQLite databases kept safe in Supabase."""

__version__ = "0.1.0"
