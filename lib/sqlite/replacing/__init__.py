"""A file put in the bot's place, with what it replaces kept."""
