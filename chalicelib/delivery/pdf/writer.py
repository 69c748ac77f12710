"""One PDF after another: A4, with the pictures that are kept here."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from chalicelib import errors
from chalicelib.actions import images
from chalicelib.delivery.pdf import blocks, letters
from chalicelib.logs import logger

MARGIN = 56.0
#: Pictures are made no larger than this (dots): 150 to the inch across a page.
MOST_DOTS = (1000, 1400)
#: So many pictures are remembered: a text has few, and the same for everybody.
MAX_PICTURES = 30


@dataclass(frozen=True)
class Made:
    """A PDF, and the letters that it could not show."""

    body: bytes
    missing: frozenset[str]


class Writer:
    """Writes PDFs; pictures and fonts are read once for all of them."""

    def __init__(self) -> None:
        letters.register()
        self._pictures: dict[str, bytes | None] = {}

    def write(self, title: str, html: str) -> Made:
        """Return the HTML as a PDF.

        Raises errors.Invalid when it can't be laid out on pages.
        """
        from reportlab.lib.pagesizes import A4
        from reportlab.platypus import SimpleDocTemplate
        from reportlab.platypus.doctemplate import LayoutError

        width, height = A4
        reader = blocks.Reader(width - 2 * MARGIN - 12, lambda address, room: self._picture(address, room, height))
        target = io.BytesIO()
        document = SimpleDocTemplate(
            target, pagesize=A4, title=title, creator="OnTask", leftMargin=MARGIN, rightMargin=MARGIN,
            topMargin=MARGIN, bottomMargin=MARGIN, invariant=1, lang="",
        )  # fmt: skip
        try:
            reader.feed(html)
            reader.close()
            document.build(reader.story)
        except (LayoutError, ValueError, AttributeError) as error:
            logger().warning("a text could not be laid out", extra={"kind": type(error).__name__})
            raise errors.Invalid("It can’t be laid out on pages; its HTML page is there.") from error
        return Made(target.getvalue(), frozenset(reader.seen))

    def _picture(self, address: str, room: float, height: float) -> Any:
        from reportlab.lib.utils import ImageReader
        from reportlab.platypus import Image

        name = urlsplit(address).path.rpartition("/")[2]
        if name not in self._pictures and len(self._pictures) < MAX_PICTURES:
            self._pictures[name] = _read(name)
        body = self._pictures.get(name)
        if body is None:
            return None
        across, down = ImageReader(io.BytesIO(body)).getSize()
        scale = min(0.48 * 2, room / across, (height - 3 * MARGIN) / down)
        return Image(io.BytesIO(body), across * scale, down * scale, hAlign="LEFT", lazy=0)


def _read(public_name: str) -> bytes | None:
    """Return a picture that is kept here as a JPEG of a size for paper; None for others, and for what is none."""
    from PIL import Image, UnidentifiedImageError

    body = images.content(public_name)
    if body is None:
        return None
    try:
        with Image.open(io.BytesIO(body)) as found:
            found.thumbnail(MOST_DOTS)
            clear = found.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    paper = Image.new("RGB", clear.size, "white")
    paper.paste(clear, mask=clear.getchannel("A"))
    target = io.BytesIO()
    paper.save(target, "JPEG", quality=85)
    return target.getvalue()
