"""Where nobody listens."""

import socket


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def down(url: str) -> str:
    """Return the same target's connection string as it would be if nobody answered."""
    return url.replace(f":{url.rsplit(':', 1)[1].split('/')[0]}/", f":{free_port()}/")
