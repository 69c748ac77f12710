"""Reads Python pickles without running anything they ask for.

A pickle is a program for a small stack machine. This machine knows the instructions that data needs; functions and
classes that the program names must be on a fixed list and are never called: what they would have made becomes an
inert `Made` with their arguments. `pickle`, pandas and NumPy are not needed; a crafted file can only be refused.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chalicelib import errors

#: Every name that a table of OnTask may use, by module; both paths of NumPy's modules, before and since version 2.
ALLOWED = {
    "builtins": {"slice"},
    "datetime": {"datetime", "timedelta", "timezone"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.multiarray": {"_reconstruct"},
    "numpy.core.numeric": {"_frombuffer"},
    "pandas._libs.arrays": {"__pyx_unpickle_NDArrayBacked"},
    "pandas._libs.internals": {"_unpickle_block"},
    "pandas.core.arrays.datetimes": {"DatetimeArray"},
    "pandas.core.dtypes.dtypes": {"DatetimeTZDtype"},
    "pandas.core.frame": {"DataFrame"},
    "pandas.core.indexes.base": {"Index", "_new_Index"},
    "pandas.core.indexes.range": {"RangeIndex"},
    "pandas.core.internals.managers": {"BlockManager"},
    "pytz": {"_UTC", "_p"},
    "sqlalchemy.sql.elements": {"quoted_name"},
    "zoneinfo": {"ZoneInfo", "ZoneInfo._unpickle"},
}
HIGHEST_PROTOCOL = 5
#: So many instructions are carried out between two looks at the clock.
LOOK_EVERY = 1 << 16


class Unsupported(errors.Invalid):
    """Raised when a pickle holds something else than a table as OnTask writes it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The file has unsupported content where its table should be: {what}.")


@dataclass(frozen=True)
class Named:
    """A function or class that the pickle names; it is not looked up."""

    module: str
    name: str


@dataclass(eq=False)
class Made:
    """What a call would have made; `state` is what the pickle then gave it."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


class _Mark:
    """Where a list of items begins on the stack."""


_MARK = _Mark()


def load(data: bytes, seconds: float = 120.0) -> Any:
    """Return what the pickle holds: plain values, lists, tuples, dictionaries and `Made`.

    Raises Unsupported for anything else, errors.Limit when reading takes longer than `seconds`.
    """
    return _Machine(data, seconds).run()


@dataclass
class _Machine:
    data: bytes
    seconds: float
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Any:
        give_up, steps = time.monotonic() + self.seconds, 0
        try:
            while True:
                code = self.data[self.at]
                self.at += 1
                if code == _STOP:
                    return self._result()
                _INSTRUCTIONS[code](self)
                steps += 1
                if steps % LOOK_EVERY == 0 and time.monotonic() > give_up:
                    raise errors.Limit("Reading the table takes too long. Split it, and upload the data as CSV.")
        except (IndexError, struct.error):
            raise Unsupported("it ends too early") from None
        except KeyError as error:
            raise Unsupported(f"instruction {error.args[0]!r}") from None
        except (UnicodeDecodeError, TypeError, ValueError, OverflowError):
            raise Unsupported("it is damaged") from None

    def _result(self) -> Any:
        (value,) = self.stack
        return value

    def take(self, count: int) -> bytes:
        """Return the next bytes of the pickle."""
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise IndexError
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def number(self, form: str) -> int:
        """Return the next number, written as struct's `form`."""
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(value)

    def line(self) -> str:
        """Return the text up to the end of the line."""
        end = self.data.index(b"\n", self.at)
        text = self.data[self.at : end].decode()
        self.at = end + 1
        return text

    def pop_items(self) -> list[Any]:
        """Take everything above the last mark, and the mark, from the stack."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise IndexError

    def name(self, module: object, name: object) -> None:
        """Push a name, if it is on the list."""
        if name not in ALLOWED.get(str(module), set()):
            raise Unsupported(f"“{str(module)[:80]}.{str(name)[:80]}”")
        self.stack.append(Named(str(module), str(name)))

    def call(self) -> None:
        """Push what a call would make."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise TypeError
        self.stack.append(Made(function.name, arguments))

    def build(self) -> None:
        """Give the thing on top of the stack its state."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Made):
            raise TypeError
        self.stack[-1].state = state

    def append(self, items: list[Any]) -> None:
        """Add items to the list on top of the stack."""
        if type(self.stack[-1]) is not list:
            raise TypeError
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        """Add keys and values to the dictionary on top of the stack."""
        if type(self.stack[-1]) is not dict or len(items) % 2 or any(not isinstance(key, str) for key in items[::2]):
            raise TypeError
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def start(self) -> None:
        """Look at the protocol's number."""
        if self.take(1)[0] > HIGHEST_PROTOCOL:
            raise Unsupported("it was written by a newer Python")


def _push(read: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


def _text(form: str) -> Callable[[_Machine], None]:
    # Half a surrogate pair is refused later, with column and row.
    return _push(lambda machine: machine.take(machine.number(form)).decode("utf-8", "surrogatepass"))


def _raw(form: str) -> Callable[[_Machine], None]:
    return _push(lambda machine: machine.take(machine.number(form)))


def _tuple(count: int) -> Callable[[_Machine], None]:
    def make(machine: _Machine) -> None:
        if len(machine.stack) < count:
            raise IndexError
        items = tuple(machine.stack[len(machine.stack) - count :])
        del machine.stack[len(machine.stack) - count :]
        machine.stack.append(items)

    return make


def _remember(form: str) -> Callable[[_Machine], None]:
    def put(machine: _Machine) -> None:
        machine.memo[machine.number(form)] = machine.stack[-1]

    return put


def _recall(form: str) -> Callable[[_Machine], None]:
    def get(machine: _Machine) -> None:
        number = machine.number(form)
        if number not in machine.memo:
            raise IndexError
        machine.stack.append(machine.memo[number])

    return get


def _memoize(machine: _Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _append_one(machine: _Machine) -> None:
    machine.append([machine.stack.pop()])


def _set_one(machine: _Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items([key, value])


def _global_line(machine: _Machine) -> None:
    machine.name(machine.line(), machine.line())


def _global(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.name(module, name)


def _whole(form: str) -> Callable[[_Machine], None]:
    return _push(lambda machine: int.from_bytes(machine.take(machine.number(form)), "little", signed=True))


_STOP = ord(".")
#: The instructions of protocols 2 to 5 that data needs; the letters are those of CPython's Lib/pickletools.py.
_INSTRUCTIONS: dict[int, Callable[[_Machine], Any]] = {
    0x80: _Machine.start,
    0x95: lambda machine: machine.take(8),  # a frame's length says nothing about what is in it
    ord("N"): _push(lambda _: None),
    0x88: _push(lambda _: True),
    0x89: _push(lambda _: False),
    ord("J"): _push(lambda machine: machine.number("<i")),
    ord("K"): _push(lambda machine: machine.number("<B")),
    ord("M"): _push(lambda machine: machine.number("<H")),
    0x8A: _whole("<B"),
    0x8B: _whole("<i"),
    ord("G"): _push(lambda machine: struct.unpack(">d", machine.take(8))[0]),
    ord("X"): _text("<I"),
    0x8C: _text("<B"),
    0x8D: _text("<Q"),
    ord("B"): _raw("<I"),
    ord("C"): _raw("<B"),
    0x8E: _raw("<Q"),
    0x96: _raw("<Q"),
    ord(")"): _push(lambda _: ()),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("t"): lambda machine: machine.stack.append(tuple(machine.pop_items())),
    ord("]"): _push(lambda _: []),
    ord("l"): _push(lambda machine: machine.pop_items()),
    ord("a"): _append_one,
    ord("e"): lambda machine: machine.append(machine.pop_items()),
    ord("}"): _push(lambda _: {}),
    ord("s"): _set_one,
    ord("u"): lambda machine: machine.set_items(machine.pop_items()),
    ord("("): lambda machine: machine.stack.append(_MARK),
    ord("0"): lambda machine: machine.stack.pop(),
    ord("1"): lambda machine: machine.pop_items(),
    ord("2"): lambda machine: machine.stack.append(machine.stack[-1]),
    ord("q"): _remember("<B"),
    ord("r"): _remember("<I"),
    0x94: _memoize,
    ord("h"): _recall("<B"),
    ord("j"): _recall("<I"),
    ord("c"): _global_line,
    0x93: _global,
    0x81: _Machine.call,
    ord("R"): _Machine.call,
    ord("b"): _Machine.build,
}  # fmt: skip
