"""A small HTTP server that answers as it is told, and keeps what it got."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Got:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Other:
    """The other system. `answers` maps a path to status, headers and body; anything else is 200."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    queue: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"http://{host}:{self.port}{path}"


@contextmanager
def serving() -> Iterator[Other]:
    """Run the server for as long as the block runs."""
    other = Other()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            other.got.append(Got(self.command, self.path, headers, body))
            if self.path.startswith("/silent"):
                other.release.wait(20)
                return
            if self.path.startswith("/drip"):
                self._drip()
                return
            chosen = other.queue.pop(0) if other.queue else other.answers.get(self.path, (200, {}, b'{"ok": true}'))
            status, more, text = chosen
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            try:
                self.wfile.write(text)
            except OSError:
                return  # a huge answer is not read to its end

        def _drip(self) -> None:
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not other.release.wait(0.05):
                    self.wfile.write(b"X-More: 1\r\n")
                    self.wfile.flush()
            except OSError:
                return

        do_POST = do_PUT = do_GET = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    other.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield other
    finally:
        other.release.set()
        server.shutdown()
        server.server_close()
