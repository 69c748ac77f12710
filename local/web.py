"""The HTTP side of one machine: `python -m local.web PORT` serves the app and `/dev/outbox`."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

from local.gateway import Gateway, serve
from local.outbox import Pages
from local.parent import end_with_parent
from local.ses import Outbox


def main(port: int) -> None:
    """Serve until the parent ends."""
    import app

    end_with_parent()
    outbox = Outbox(Path(os.environ["ONTASK_OUTBOX"]))
    serve(Pages(outbox, Gateway(app.app).wsgi), port)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    try:
        main(int(sys.argv[1]))
    except OSError as problem:
        sys.exit(f"Port {sys.argv[1]} can't be used ({problem.strerror}). Try another: make run PORT=8911")
