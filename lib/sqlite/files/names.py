"""SQLite identifiers."""


def quoted(name: str) -> str:
    """Return the name as an SQLite identifier; a quote inside is doubled."""
    return '"' + name.replace('"', '""') + '"'
