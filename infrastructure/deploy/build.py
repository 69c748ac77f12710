"""The build copy: the tree as it goes to Lambda, with dependencies, the stage's settings, the functions' policies.

`vendor/` holds the dependencies and `requirements.txt` is absent, so that Chalice packs what is there and resolves
nothing itself: where it finds no wheel it only warns.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from chalicelib.settings import Settings
from infrastructure.deploy import state
from infrastructure.deploy.cloud import ROOT, Cloud, Problem

#: The functions' Python. 3.12 is the first whose Lambda has a glibc for which today's wheels are made.
RUNTIME = "3.13"
PLATFORM = "x86_64-manylinux_2_28"
#: Lambda takes uploads of at most 50 MB; below this there is room for what will come.
MAX_ZIP_BYTES = 40_000_000
#: Parts of the dependencies that no function loads: writing pictures of text, formats that texts can't have, fonts.
USELESS = (
    "bin", ".lock", "PIL/_avif*", "PIL/_imagingft*", "PIL/_imagingcms*", "reportlab/fonts", "sqlalchemy/testing",
    *(f"pillow.libs/lib{name}*" for name in ("avif", "harfbuzz", "freetype", "png16", "brotli", "lcms2")),
)  # fmt: skip
#: Aurora's authorities, all regions (Aurora User Guide, "Using SSL/TLS to encrypt a connection").
CA_URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
CA_FILE = "rds-ca.pem"

UV = str(ROOT / ".venv" / "bin" / "uv")


@dataclass(frozen=True)
class Packing:
    """How the package gets its dependencies and its byte code."""

    platform: str = PLATFORM

    def install(self, folder: Path) -> None:
        """Install the locked dependencies as wheels for Lambda's platform and Python.

        Raises Problem when one of them has no such wheel.
        """
        places = os.environ.get("PIP_FIND_LINKS", "").split()
        links = [option for place in places for option in ("--find-links", place)]
        done = subprocess.run(
            [
                UV, "pip", "install", "--quiet", "--link-mode", "copy", "--target", str(folder),
                "--python-version", RUNTIME, "--python-platform", self.platform, "--only-binary", ":all:",
                "--no-deps", "--require-hashes", *links, "--requirements", str(ROOT / "requirements" / "app.txt"),
            ],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode or done.stderr.strip():
            raise Problem(f"The dependencies can't be packed for Python {RUNTIME} on Lambda: {done.stderr.strip()}")
        for pattern in USELESS:
            for useless in list(folder.glob(pattern)):
                shutil.rmtree(useless) if useless.is_dir() else useless.unlink()

    def compile(self, folder: Path) -> bool:
        """Byte-compile a folder; return whether there is a Python that can.

        Lambda's code folder is read-only, so that without it every cold start compiles everything anew.
        """
        python = find_python()
        if python is None:
            return False
        command = [python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", str(folder)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return True


def make(cloud: Cloud, outputs: dict[str, str], base_url: str, packing: Packing) -> Path:
    """Make the stage's build copy and return its folder; `outputs` are those of the stack `base`."""
    build = cloud.folder / cloud.stage
    shutil.rmtree(build, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "chalicelib", build / "chalicelib", ignore=ignored)
    shutil.copy(ROOT / "app.py", build / "app.py")
    shutil.copytree(dependencies(cloud, packing), build / "vendor", copy_function=os.link)
    shutil.copytree(ROOT / "templates", build / "vendor" / "templates", ignore=ignored)
    shutil.copy(authorities(cloud), build / "vendor" / CA_FILE)
    if not packing.compile(build / "chalicelib"):
        cloud.say(f"  There is no Python {RUNTIME} here, so nothing is byte-compiled: cold starts take 1 s longer.")
    (build / ".chalice").mkdir()
    (build / ".chalice" / "config.json").write_text(json.dumps(configuration(cloud, outputs, base_url), indent=2))
    for name, policy in policies(cloud, outputs).items():
        (build / ".chalice" / f"policy-{name}.json").write_text(json.dumps(policy, indent=2))
    return build


def dependencies(cloud: Cloud, packing: Packing) -> Path:
    """Return a folder with the dependencies for Lambda, byte-compiled; it is made once for each lock file."""
    lock = (ROOT / "requirements" / "app.txt").read_bytes()
    compiler = find_python() or ""
    key = hashlib.sha256(
        b"\0".join([lock, RUNTIME.encode(), packing.platform.encode(), compiler.encode()])
    ).hexdigest()[:16]
    done = cloud.folder / f"vendor-{key}"
    if not done.exists():
        half = cloud.folder / f"half-{key}"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        packing.install(half)
        packing.compile(half)
        half.rename(done)  # a folder of this name is a whole one
    return done


@cache
def find_python() -> str | None:
    """Return a Python of the functions' version on this machine, None when there is none."""
    for candidate in _candidates():
        check = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        try:
            done = subprocess.run(check, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        except OSError:
            continue
        if done.stdout.strip() == RUNTIME:  # pyenv's commands are there for versions that are not
            return candidate
    return None


def _candidates() -> Iterator[str]:
    yield sys.executable
    yield f"python{RUNTIME}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (str(path) for path in sorted(pyenv.glob(f"versions/{RUNTIME}.*/bin/python")))
    command = [UV, "python", "find", "--managed-python", "--offline", "--no-project", RUNTIME]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    yield done.stdout.strip() or "no-such-python"


def authorities(cloud: Cloud) -> Path:
    """Return a file with the certificates of Aurora's authorities, fetched once.

    Raises Problem when what comes is no such file.
    """
    target = cloud.folder / CA_FILE
    if not target.exists():
        answer = cloud.http(CA_URL)
        try:
            ssl.create_default_context(cadata=answer.body.decode())
        except (ssl.SSLError, ValueError) as error:
            raise Problem(f"{CA_URL} did not give the certificates of Aurora's authorities.") from error
        part = target.with_suffix(".part")
        part.write_bytes(answer.body)
        part.replace(target)
    return target


def setting_of(output: str) -> str | None:
    """Return the environment variable that an output of the stack is for: the setting of the same name."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", output).upper()
    return name if name in {field.name.upper() for field in fields(Settings)} else None


def configuration(cloud: Cloud, outputs: dict[str, str], base_url: str) -> dict[str, Any]:
    """Return Chalice's configuration for the stage: the repository's, completed by what the stack has made."""
    config: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
    stage = config["stages"][cloud.stage]
    config["stages"] = {cloud.stage: stage}
    settings = {name: value for key, value in outputs.items() if (name := setting_of(key))}
    stage["environment_variables"] |= settings | ({"BASE_URL": base_url} if base_url else {})
    stage["subnet_ids"] = outputs["Subnets"].split(",")
    stage["security_group_ids"] = [outputs["SecurityGroup"]]
    stage["tags"] = {"ontask:stage": cloud.stage}
    # Alone in being the schema's owner; it gives the others' role its rights.
    stage["lambda_functions"]["migrate"]["environment_variables"] = {
        "DATABASE_SECRET": outputs["OwnerSecret"],
        "APP_DATABASE_SECRET": outputs["DatabaseSecret"],
    }
    return config


def policies(cloud: Cloud, outputs: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return every function's policy, the stage's names filled in, the reasons, which IAM does not take, left out."""
    known = {
        **outputs, "Stage": cloud.stage, "Region": cloud.region, "Account": cloud.account, "Partition": cloud.partition,
    }  # fmt: skip
    found = {}
    for name in state.functions():
        text = (ROOT / "infrastructure" / "policies" / f"{name}.json").read_text()
        policy = json.loads(Template(text).substitute(known))
        for statement in policy["Statement"]:
            statement.pop("Reason", None)
        found[name] = policy
    return found


def chalice(cloud: Cloud, build: Path, command: str, *arguments: str) -> None:
    """Run a command of Chalice's in the build copy.

    Raises Problem when it fails or warns: it goes on without a dependency that it can't install.
    """
    done = subprocess.run(
        [sys.executable, "-m", "infrastructure.deploy.chalice_cli", command, "--stage", cloud.stage, *arguments],
        cwd=build, env=_environment(cloud), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        cloud.say(f"  {line}")
    said = done.stdout + done.stderr
    if "UnreservedConcurrentExecution" in said:
        raise Problem(
            "This account may not run enough functions at once. Ask AWS for 1,000 (Service Quotas, Lambda, Concurrent "
            "executions); new accounts start with 10."
        )
    if done.returncode or "Could not install" in said or "warning" in said.lower():
        raise Problem(
            f"chalice {command} failed: {said.strip().splitlines()[-1] if said.strip() else 'no reason given'}"
        )


def _environment(cloud: Cloud) -> dict[str, str]:
    """Return the environment of Chalice's process: this one's, the session's region, no setting of this machine's."""
    known = {field.name.upper() for field in fields(Settings)}
    kept = {name: value for name, value in os.environ.items() if name not in known}
    return {**kept, "AWS_DEFAULT_REGION": cloud.region}


def check_size(build: Path) -> None:
    """Look at the package that Chalice made.

    Raises Problem when it is larger than Lambda's limit leaves room for.
    """
    for package in (build / ".chalice" / "deployments").glob("*.zip"):
        if package.stat().st_size > MAX_ZIP_BYTES:
            raise Problem(
                f"The package has {package.stat().st_size / 1e6:.1f} MB; "
                f"it must stay under {MAX_ZIP_BYTES / 1e6:.0f} MB."
            )
