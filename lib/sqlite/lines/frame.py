"""What stands before and behind each line on its way: the cells of a staging table that the row itself does not have."""

from typing import NamedTuple


class Frame(NamedTuple):
    """Bytes around a line; they are sent, and not hashed."""

    before: bytes = b""
    behind: bytes = b"\n"


BARE = Frame()
