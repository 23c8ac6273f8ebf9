"""A real HTTP server that takes alerts: it keeps them, or answers as bad servers do."""

import http.server
import json
import threading
import time
from contextlib import suppress


class Inbox(http.server.ThreadingHTTPServer):
    """A real HTTP server that keeps what it is sent; `answer` is what it does with each request."""

    daemon_threads = True

    def __init__(self, answer="ok"):
        super().__init__(("127.0.0.1", 0), _Request)
        self.answer, self.got, self.said = answer, [], ""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def paths(self):
        return [path for path, _ in self.got]

    def texts(self):
        return [json.loads(body)["text"] for _, body in self.got]


class _Request(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append((self.path, body))  # whoever has the answer may look at once
        getattr(self, self.server.answer)()

    def do_GET(self):
        self.server.got.append((f"GET {self.path}", ""))
        self.ok()

    def ok(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def slow(self):
        time.sleep(2)
        self.ok()

    def refusing(self):
        self.send_error(403, explain="chat not found")

    def echoing(self):
        self.send_error(403, explain=self.server.said)

    def redirecting(self):
        self.send_response(301)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/elsewhere")
        self.end_headers()

    def dripping(self):
        """Never ends: each byte comes well before any timeout of the socket."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b".")
                time.sleep(0.5)

    def babbling(self):
        self.wfile.write(b"hello, this is not HTTP\r\n\r\n")

    def log_message(self, *_):
        pass
