"""An SES that answers at once, in a process of its own (`python -m bench.sink`) so that it costs the sender nothing.

It keeps nothing; each connection stays open, as those of Amazon do.
"""

from __future__ import annotations

import asyncio
import json

ACCOUNT = {"SendQuota": {"MaxSendRate": 100_000.0, "Max24HourSend": -1.0, "SentLast24Hours": 0.0}}


def answer(body: object) -> bytes:
    """Return a whole HTTP answer."""
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


SENT, LIMITS = answer({"MessageId": "at-once"}), answer(ACCOUNT)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request of a connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.lower().split(b"\r\n")
            length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
            if b"expect: 100-continue" in lines:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await reader.readexactly(length)
            writer.write(LIMITS if head.startswith(b"GET") else SENT)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Print the port and serve until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
