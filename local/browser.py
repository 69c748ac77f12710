"""Find a Chromium for the tests: the machine's, apt's when root, or the one inside an npm package."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from local import setup

ROOT = Path(__file__).resolve().parent.parent
UNPACKED = ROOT / ".ontask" / "browser"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: The sandbox needs rights that containers and root do not have; tests only visit our own pages.
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]

FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir><dir>/usr/share/fonts</dir><cachedir>{cache}</cachedir>
</fontconfig>
"""

UNPACK = """
const zlib = require("zlib"), fs = require("fs"), {pipeline} = require("stream/promises");
const [from, to] = process.argv.slice(1);
const un = (name, target, mode) => pipeline(fs.createReadStream(from + "/" + name), zlib.createBrotliDecompress(),
  fs.createWriteStream(to + "/" + target, {mode}));
Promise.all([un("chromium.br", "chromium", 0o755), un("al2023.tar.br", "libs.tar"), un("fonts.tar.br", "fonts.tar")])
  .catch((error) => { console.error(error); process.exit(1); });
"""


@dataclass(frozen=True)
class Chromium:
    """What Playwright's `launch` needs: program, flags, environment."""

    program: str
    flags: list[str] = field(default_factory=lambda: list(FLAGS))
    environment: dict[str, str] = field(default_factory=dict)


def find() -> Chromium:
    """Return a Chromium, installing one if need be.

    Raises RuntimeError that says what to do when there is no way to get one.
    """
    named = os.environ.get("ONTASK_CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found:
        return Chromium(found)
    if os.geteuid() == 0 and shutil.which("apt-get") and _apt() and (path := shutil.which("chromium")):
        return Chromium(path)
    if platform.machine() == "x86_64":
        return _from_npm()
    raise RuntimeError(
        "The browser tests need Chromium and this machine has none: install it with the system's package manager, "
        "or name one with ONTASK_CHROMIUM=/path/to/chromium."
    )


def _apt() -> bool:
    print("There is no Chromium on this machine; installing it with apt …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
    for command in (["apt-get", "update"], install):
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
    return done.returncode == 0


def _from_npm() -> Chromium:
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with (UNPACKED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (UNPACKED / "complete").exists():
            print("There is no Chromium on this machine; unpacking the one of @sparticuz/chromium …", flush=True)
            _unpack()
            (UNPACKED / "complete").touch()
    environment = {
        **{name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"},
        "LD_LIBRARY_PATH": str(UNPACKED / "lib"),
        "FONTCONFIG_FILE": str(UNPACKED / "fonts.conf"),
    }
    return Chromium(str(UNPACKED / "chromium"), list(FLAGS), environment)


def _unpack() -> None:
    package = ROOT / "local" / "chromium"
    work = UNPACKED / "npm"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(package, work)
    command = setup.npm()  # first, as it may put node on the path
    subprocess.run([*command, "ci", "--ignore-scripts", "--silent"], cwd=work, check=True)
    binaries = work / "node_modules" / "@sparticuz" / "chromium" / "bin"
    subprocess.run(["node", "-e", UNPACK, str(binaries), str(UNPACKED)], check=True)
    for name in ("libs.tar", "fonts.tar"):
        shutil.unpack_archive(UNPACKED / name, UNPACKED, "tar", filter="data")
        (UNPACKED / name).unlink()
    (UNPACKED / "fonts.conf").write_text(FONTS.format(cache=UNPACKED / "cache"))
    shutil.rmtree(work)


if __name__ == "__main__":
    try:
        print(f"Browser tests use {find().program}", flush=True)
    except (RuntimeError, subprocess.CalledProcessError) as problem:
        sys.exit(str(problem))
