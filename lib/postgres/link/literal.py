"""How text is written into a statement: so that it means the same whatever standard_conforming_strings is.

psycopg2 goes by the setting that a connection begins with; a role, a database or a pooler's last client may have another one.
"""

import psycopg2.extensions


class Literal:
    """A text between quotes, as psycopg2 asks for it; raise ValueError for a NUL, which Postgres cannot hold."""

    def __init__(self, text: str):
        self._text = text

    def getquoted(self) -> bytes:
        if "\0" in self._text:
            raise ValueError("a text for Postgres cannot hold a NUL")
        text = self._text.replace("'", "''")
        return (f"E'{text}'".replace("\\", "\\\\") if "\\" in text else f"'{text}'").encode()


def register() -> None:
    """Let psycopg2 write every text so."""
    psycopg2.extensions.register_adapter(str, Literal)
