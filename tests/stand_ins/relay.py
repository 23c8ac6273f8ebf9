"""A TCP relay between a script and its server that can delay, throttle, cut and fall silent, to the byte.

usage: python3 tests/stand_ins/relay.py HOST:PORT [LISTEN_PORT] [DELAY_MS]     relays until it is interrupted

Counted and limited are the payload bytes of all connections since `reset`, each way: `up` is from the script to the server.
"""

import contextlib
import fcntl
import queue
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

CHUNK = 65536
MOST_TRAVELLING = 1000
FOREVER = float("inf")
WAYS = ("up", "down")
GOODBYE = b"X\0\0\0\4"


def each_way(value: float) -> dict[str, float]:
    return dict.fromkeys(WAYS, value)


@dataclass
class Relay:
    """All settings may be changed while connections live; a cut happens once, and then nobody gets in if the relay `stays_down`.

    `cut_at_commit` is "before" (COMMIT does not reach the server) or "after" (its answer does not come back). `questions` are the
    times that the script has spoken and waited for an answer; from number `silent_from` on (1 is the first), nothing passes.
    """

    host: str
    port: int
    delay: dict[str, float] = field(default_factory=lambda: each_way(0.0))
    bytes_per_second: dict[str, float] = field(default_factory=lambda: each_way(FOREVER))
    cut_after: dict[str, float] = field(default_factory=lambda: each_way(FOREVER))
    silent_after: dict[str, float] = field(default_factory=lambda: each_way(FOREVER))
    carried: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))
    connections: int = 0
    cut_at_commit: str = ""
    questions: int = 0
    silent_from: float = FOREVER
    is_down: bool = False
    stays_down: bool = False

    def __post_init__(self):
        self._lock, self._open, self._ended = threading.Lock(), set(), threading.Event()
        self._last_way = "down"

    def reset(self, silent_from: float = FOREVER, **settings: dict[str, float]) -> None:
        """Cut what is open, forget what was counted and every setting, and apply those given: cut_after={"up": 4711}, …"""
        self.cut()
        defaults = {"delay": 0.0, "bytes_per_second": FOREVER, "cut_after": FOREVER, "silent_after": FOREVER}
        for name, value in defaults.items():
            setattr(self, name, each_way(value) | settings.get(name, {}))
        self.carried, self.connections = dict.fromkeys(WAYS, 0), 0
        self.questions, self.silent_from, self._last_way = 0, silent_from, "down"
        self.cut_at_commit, self.is_down, self.stays_down = "", False, False

    def cut(self) -> None:
        """Reset every open connection, as a server that dies does."""
        with self._lock:
            found, self._open = self._open, set()
        for end in found:
            _abort(end)

    def serve(self, port: int = 0) -> int:
        """Listen in threads until `close`, and return the port."""
        self._listener = socket.create_server(("127.0.0.1", port), backlog=200)
        threading.Thread(target=self._accept, daemon=True).start()
        return self._listener.getsockname()[1]

    def close(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                script = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._connect, args=(script,), daemon=True).start()

    def _connect(self, script: socket.socket) -> None:
        if self.is_down:
            _abort(script)
            return
        try:
            server = socket.create_connection((self.host, self.port))
        except OSError:
            _abort(script)
            return
        for end in (script, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {script, server}
            self.connections += 1
        for way, source, sink in (("up", script, server), ("down", server, script)):
            travelling = queue.Queue(MOST_TRAVELLING)
            threading.Thread(target=self._receive, args=(way, source, travelling), daemon=True).start()
            threading.Thread(target=self._deliver, args=(way, travelling, sink), daemon=True).start()

    def _receive(self, way: str, source: socket.socket, travelling: queue.Queue) -> None:
        """Note when each chunk is due, so that a delay does not limit how much is under way."""
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                travelling.put((time.monotonic() + self.delay[way], chunk))
        travelling.put((time.monotonic() + self.delay[way], b""))

    def _deliver(self, way: str, travelling: queue.Queue, sink: socket.socket) -> None:
        """Send each chunk when it is due; after an error go on emptying the queue, so that the receiver ends."""
        is_open = True
        while True:
            due, chunk = travelling.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if is_open:
                    self._send(way, chunk, sink)
            except OSError:
                is_open = False
            if not chunk:
                return

    def _send(self, way: str, chunk: bytes, sink: socket.socket) -> None:
        """Send what may pass: it ends exactly where a cut or a silence begins."""
        if self._is_moment(way, chunk):
            self.cut_at_commit = ""
            self.cut()
            return
        if self._is_silent(way, chunk):
            return
        left = min(self.cut_after[way], self.silent_after[way]) - self.carried[way]
        passed = chunk[: int(max(0, min(left, len(chunk))))]
        time.sleep(len(passed) / self.bytes_per_second[way])
        with self._lock:  # counted before it arrives: whoever has got it finds it counted
            self.carried[way] += len(passed)
        sink.sendall(passed)
        if self.carried[way] >= self.cut_after[way]:
            _drain(sink)
            self.cut_after[way] = FOREVER
            self.is_down = self.stays_down
            self.cut()
        elif not chunk and self.carried[way] < self.silent_after[way]:
            sink.shutdown(socket.SHUT_WR)

    def _is_silent(self, way: str, chunk: bytes) -> bool:
        """Count the questions: whoever speaks after the other one begins; a goodbye is none."""
        with self._lock:
            if chunk and chunk != GOODBYE:
                self.questions += (way, self._last_way) == ("up", "down")
                self._last_way = way
            return self.questions >= self.silent_from

    def _is_moment(self, way: str, chunk: bytes) -> bool:
        """Whether this is the COMMIT, or its answer, at which the line is to be cut."""
        is_commit = way == "up" and chunk.endswith(b"COMMIT\0")
        if is_commit and self.cut_at_commit == "after":
            self.cut_at_commit = "at the answer"
            return False
        return bool(chunk) and (
            (is_commit and self.cut_at_commit == "before") or (way == "down" and self.cut_at_commit == "at the answer")
        )


def _drain(sink: socket.socket) -> None:
    """Let the last bytes before a cut arrive: a reset discards what the peer's system has not got yet."""
    while _unsent(sink):
        time.sleep(0.001)
    time.sleep(0.02)


def _unsent(sink: socket.socket) -> int:
    """Source: SIOCOUTQ of tcp(7), the bytes that the peer's system has not acknowledged."""
    return struct.unpack("i", fcntl.ioctl(sink.fileno(), 0x5411, bytes(4)))[0]


def _abort(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextlib.contextmanager
def running(host: str, port: int) -> Iterator[tuple[Relay, int]]:
    """Yield a relay and the port at which it listens."""
    relay = Relay(host, port)
    listens = relay.serve()
    try:
        yield relay, listens
    finally:
        relay.close()


if __name__ == "__main__":
    server_host, server_port = sys.argv[1].rsplit(":", 1)
    standing = Relay(server_host, int(server_port))
    standing.delay = each_way(float(sys.argv[3]) / 1000 if len(sys.argv) > 3 else 0.0)
    print(standing.serve(int(sys.argv[2]) if len(sys.argv) > 2 else 0), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
