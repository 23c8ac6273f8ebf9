"""A server of the Postgres protocol that lets nobody in."""

import contextlib
import socket
import threading


@contextlib.contextmanager
def refusing_server(said):
    """A server of the Postgres protocol that answers every start with one FATAL error, as poolers word theirs: `said`, in bytes.

    It yields its port, and a list that has an entry for each visit.
    """
    body = b"SFATAL\0VFATAL\0CXX000\0M" + said + b"\0\0"
    message, visits = b"E" + (len(body) + 4).to_bytes(4, "big") + body, []

    def answer(listener):
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                client.recv(1000)
                visits.append(client)
                client.sendall(message)
                client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], visits
        listener.shutdown(socket.SHUT_RDWR)
