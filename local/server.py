"""A small threaded JSON server, for the emulators."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, Any]]
Handler = Callable[[str, str, dict[str, str], bytes], Answer]


class JsonServer:
    """Serves `handler` on 127.0.0.1 until `stop`; `url` is its address."""

    def __init__(self, handler: Handler, port: int, content_type: str) -> None:
        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, content = handler(self.command, self.path, headers, body)
                raw = json.dumps(content).encode()
                lines = [f"HTTP/1.1 {status} -", f"Content-Type: {content_type}", f"Content-Length: {len(raw)}"]
                if "__type" in content:
                    lines.append(f"X-Amzn-ErrorType: {content['__type']}")
                # One packet: two would cost 40 ms of delayed acknowledgement.
                self.wfile.write("\r\n".join([*lines, "", ""]).encode() + raw)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        for method in ("GET", "POST", "PUT", "DELETE"):
            setattr(Request, f"do_{method}", Request._answer)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", port), Request)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="emulator", daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
