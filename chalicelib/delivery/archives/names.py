"""What the files are called: safe on every system, each name once, or as Moodle's feedback files are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DEFAULT_SUFFIX = "feedback.html"
MAX_SUFFIX_LENGTH = 100
#: Windows' reserved signs and those no file system likes (Microsoft, "Naming Files, Paths, and Namespaces").
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
#: Names that Windows keeps for devices, whatever follows the dot.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
#: File systems allow 255 octets; a running number has to fit.
MAX_NAME_BYTES = 240
#: What a value of Moodle's column "Identifier" looks like, for PostgreSQL and for Python.
MOODLE_PATTERN = r"^\s*Participant\s+[0-9]+\s*$"
#: Moodle, "Upload multiple feedback files in a zip": how it finds the participant in a name.
MOODLE_MARK = "_assignsubmission_file_"


@dataclass
class Names:
    """Makes the names of one archive; `changed` lists what could not stay, as (what it was, what it is)."""

    suffix: str = DEFAULT_SUFFIX
    for_moodle: bool = False
    changed: list[tuple[str, str]] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)

    def name(self, first: str, second: str | None, row_id: int) -> str:
        """Return the name of a learner's file, made of the values of their two columns."""
        if self.for_moodle:
            number = re.sub(r"\D", "", first)
            wanted = f"{(second or '').strip()}_{number}{MOODLE_MARK}{self.suffix}"
        else:
            parts = [part.strip() for part in (first, second or "") if part.strip()] or [f"row {row_id}"]
            wanted = "_".join([*parts, self.suffix])
        made = self._once(_safe(wanted))
        if made != wanted:
            self.changed.append((wanted, made))
        return made

    def _once(self, name: str) -> str:
        # Windows and macOS take large and small letters for the same.
        made, number = name, 2
        stem, dot, ending = name.rpartition(".")
        while made.casefold() in self._used:
            made = f"{stem} ({number}){dot}{ending}" if dot else f"{name} ({number})"
            number += 1
        self._used.add(made.casefold())
        return made


def _safe(name: str) -> str:
    made = _UNSAFE.sub("-", name).strip(" .") or "file"
    if _DEVICES.match(made):
        made = f"_{made}"
    while len(made.encode()) > MAX_NAME_BYTES:
        stem, dot, ending = made.rpartition(".")
        made = f"{stem[:-1]}{dot}{ending}" if dot and stem else made[:-1]
    return made
