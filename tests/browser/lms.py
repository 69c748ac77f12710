"""A small LMS: one page that shows a tool in a frame, or opens it in a window, by a launch that Authlib signs."""

from __future__ import annotations

import json
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.accounts.lms import LEARNER, SECRET, signed

PAGE = """<!doctype html><html lang="en"><head><title>Biology 101</title></head><body><main><h1>Biology 101</h1>
<form method="post" action="{url}" target="{target}">{fields}<button>Open the tool</button></form>
<iframe name="tool" title="The tool" width="100%" height="600"></iframe></main></body></html>"""


class Lms:
    """Serves its page until `stop`."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = course(dict(parse_qsl(urlsplit(self.path).query))).encode()
                self.send_response(200 if self.path.startswith("/course") else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://localhost:{self._server.server_port}"
        self.credentials = json.dumps({"canvas": {"secret": SECRET, "origins": [self.url]}})

    def course(self, tool: str, email: str, target: str = "tool") -> str:
        """Return the address of the course's page with the tool at `tool`, for the learner with this address."""
        return f"{self.url}/course?{urlencode({'tool': tool, 'email': email, 'target': target})}"

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def course(asked: dict[str, str]) -> str:
    """Return the page; everything that it shows is signed when it is asked for."""
    if "tool" not in asked:
        return ""
    fields = signed(LEARNER | {"lis_person_contact_email_primary": asked["email"]}, asked["tool"])
    hidden = "".join(f'<input type="hidden" name="{k}" value="{escape(v)}">' for k, v in fields.items())
    return PAGE.format(url=escape(asked["tool"]), target=escape(asked["target"]), fields=hidden)
