"""The package that goes to Lambda: what is in it, and that its Python can import and run it.

Where no Python of the functions' version is on the machine, the wheels' tags and the names of compiled modules are all
that is checked, and the tests that need one are skipped and say so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import certifi
import pytest

from infrastructure.deploy import build
from infrastructure.deploy.cloud import Answer, Cloud, Problem
from tests.conftest import ENVIRONMENT
from tests.deploy.templates import ROOT, template

PYTHON = build.find_python()
needs_python = pytest.mark.skipif(
    PYTHON is None, reason=f"no Python {build.RUNTIME} on this machine: wheel tags are checked, nothing is imported"
)
#: The newest glibc that the runtime's operating system has (Amazon Linux 2023).
GLIBC = (2, 34)
OUTPUTS = {name: f"the-{name.lower()}" for name in template("base")["Outputs"]}


def cloud_in(folder: Path) -> Cloud:
    """An account that nobody asks, except for its number."""
    cloud = Cloud(
        "dev", boto3.Session(), http=lambda _url: Answer(200, Path(certifi.where()).read_bytes()), folder=folder
    )
    cloud._account = "123456789012"
    return cloud


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build copy, as `make deploy` makes it; the dependencies come from uv's cache."""
    cloud = cloud_in(tmp_path_factory.mktemp("deploy"))
    return build.make(cloud, OUTPUTS, "https://ontask.example", build.Packing())


@pytest.fixture(scope="session")
def package(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip file that Chalice makes of it; its validation runs, and a warning would fail it."""
    out = tmp_path_factory.mktemp("package")
    build.chalice(cloud_in(copy.parent), copy, "package", str(out))
    return out / "deployment.zip"


@pytest.fixture(scope="session")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as Lambda unpacks it, which for functions is read-only."""
    target = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(package) as zipped:
        zipped.extractall(target)
    return target


@pytest.fixture
def names(package: Path) -> Iterator[set[str]]:
    """The names of the package's files."""
    with zipfile.ZipFile(package) as zipped:
        yield set(zipped.namelist())


def test_the_package_is_small_and_has_what_the_product_reads(package: Path, names: set[str]) -> None:
    assert package.stat().st_size < build.MAX_ZIP_BYTES
    assert {"app.py", "chalice/app.py", "chalicelib/settings.py", "templates/layout.html", "rds-ca.pem"} <= names
    assert "chalicelib/static/vendor/htmx.min.js" in names
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"pandas", "numpy", "boto3", "botocore", "local", "tests", "infrastructure", "bin", "pip"}
    assert {"sqlalchemy", "pg8000", "jinja2", "alembic", "nh3", "argon2"} <= tops
    assert not [name for name in names if name.endswith((".env", "dev.json")) or "/.git" in name]


def test_every_wheel_is_made_for_the_runtime(unpacked: Path) -> None:
    wheels = list(unpacked.glob("*.dist-info/WHEEL"))
    assert len(wheels) > 10
    number = build.RUNTIME.replace(".", "")
    for wheel in wheels:
        tags = re.findall(r"^Tag: (\S+)$", wheel.read_text(), re.M)
        assert any(_fits(tag, number) for tag in tags), f"{wheel.parent.name}: {tags}"
    for module in unpacked.rglob("*.so"):
        own = f".cpython-{number}-x86_64-linux-gnu.so"
        assert module.name.endswith((own, ".abi3.so")) or ".so" not in module.suffixes[:-1], module.name


def _fits(tag: str, number: str) -> bool:
    python, abi, platform = tag.split("-")
    if platform == "any":
        return python in {"py3", f"py{number}", "py2.py3"} and abi == "none"
    newer = re.fullmatch(r"manylinux_(\d+)_(\d+)_x86_64", platform)
    old_enough = (int(newer[1]), int(newer[2])) <= GLIBC if newer else platform in {"manylinux2014_x86_64"}
    return old_enough and (
        abi == f"cp{number}" or (abi == "abi3" and int(python[3:]) <= int(number[1:])) or abi == "none"
    )


def test_no_account_s_value_is_in_the_package(package: Path) -> None:
    with zipfile.ZipFile(package) as zipped:
        for name in zipped.namelist():
            if name.startswith(("chalicelib/", "templates/")) and name.endswith((".py", ".html", ".js")):
                assert b"the-bucket" not in zipped.read(name)


@needs_python
def test_everything_is_byte_compiled_for_the_runtime_and_never_checked(unpacked: Path) -> None:
    code = """
import importlib.util as u, pathlib
count = 0
for folder in ("chalicelib", "sqlalchemy", "jinja2", "alembic", "pg8000"):
    for source in pathlib.Path(folder).rglob("*.py"):
        head = pathlib.Path(u.cache_from_source(source)).read_bytes()[:16]
        assert head[:4] == u.MAGIC_NUMBER, source
        assert head[4] == 0b01, f"{source} is compared with its compiled form at each start"
        assert head[8:] == u.source_hash(source.read_bytes()), f"{source} is another one than was compiled"
        count += 1
print(count)
"""
    assert int(run_in(unpacked, code)) > 300


def run_in(unpacked: Path, code: str) -> str:
    """Run code in the package's Python, with nothing else installed, as a function is run."""
    assert PYTHON is not None
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    environment = {
        **{name: value for name, value in ENVIRONMENT.items() if not name.startswith("AWS_A")},
        **config["environment_variables"], "PATH": os.environ["PATH"], "LAMBDA_TASK_ROOT": str(unpacked),
    }  # fmt: skip
    command = [PYTHON, "-I", "-B", "-c", f"import sys; sys.path.insert(0, {str(unpacked)!r})\n{code}"]
    done = subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_python
def test_the_runtime_s_python_imports_the_app_from_the_package(unpacked: Path) -> None:
    code = (
        "import app\n"
        "heavy = {'boto3', 'pandas', 'alembic', 'python_calamine'} & set(sys.modules)\n"
        "places = {m.__name__: getattr(m, '__file__', None) or '' for m in list(sys.modules.values())}\n"
        "outside = [name for name, place in places.items() if 'site-packages' in place]\n"
        "handlers = [name for name in ('work_job', 'send_batch', 'record_events', 'run_due', 'tidy', 'migrate')"
        " if not callable(getattr(app, name))]\n"
        "print(app.__file__, sorted(heavy), outside, handlers)\n"
    )
    assert run_in(unpacked, code) == f"{unpacked}/app.py [] [] []"


@needs_python
def test_the_runtime_s_python_answers_a_request_from_the_package(unpacked: Path, copy: Path) -> None:
    code = (
        "import app, json\n"
        "event = {'resource': '/healthz', 'path': '/healthz', 'httpMethod': 'GET', 'headers': {'accept': '*/*'},\n"
        "  'multiValueHeaders': {}, 'multiValueQueryStringParameters': None, 'pathParameters': None,\n"
        "  'stageVariables': None, 'body': None, 'isBase64Encoded': False, 'requestContext': {'httpMethod': 'GET',\n"
        "  'resourcePath': '/healthz', 'path': '/dev/healthz', 'stage': 'dev', 'requestId': '1', 'identity': {}}}\n"
        "answer = app.app(event, None)\n"
        "from chalicelib.web import static\n"
        "import alembic.command, python_calamine, argon2, nh3, sqlalchemy.orm\n"
        "import io\n"
        "from PIL import Image, features\n"
        "from chalicelib.delivery.pdf import writer\n"
        "assert features.check('webp') and features.check('jpg')\n"
        "writer.images.content = lambda name: picture\n"
        "target = io.BytesIO()\n"
        "Image.new('P', (9, 9)).save(target, 'GIF')\n"
        "picture = target.getvalue()\n"
        "made = writer.Writer().write('t', '<p>x &#24605; <i>&#1593;</i><img src=\"x.gif\"></p>')\n"
        "assert made.body.startswith(b'%PDF') and not made.missing\n"
        "print(answer['statusCode'], static.version())\n"
    )
    from chalicelib.web import static

    assert run_in(unpacked, code) == f"200 {static.version_of(copy / 'chalicelib' / 'static')}"


def test_a_dependency_without_a_wheel_stops_the_deployment(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="can't be packed"):
        build.Packing(platform="riscv64-unknown-linux").install(tmp_path)


def test_a_warning_of_the_packaging_command_stops_the_deployment(copy: Path, tmp_path: Path) -> None:
    import shutil

    warned = tmp_path / "dev"
    shutil.copytree(copy, warned, symlinks=True, ignore=shutil.ignore_patterns("vendor", "deployments"))
    (warned / "requirements.txt").write_text("no-wheel-for-this @ file:///nowhere/no_wheel-1.0.tar.gz\n")
    with pytest.raises(Problem, match="chalice package failed"):
        build.chalice(cloud_in(tmp_path), warned, "package", str(tmp_path / "out"))
    (warned / "requirements.txt").unlink()
    (warned / "app.py").write_text(
        (warned / "app.py").read_text() + "\nimport warnings\nwarnings.warn('a route is wrong', UserWarning)\n"
    )
    with pytest.raises(Problem, match="a route is wrong"):
        build.chalice(cloud_in(tmp_path), warned, "package", str(tmp_path / "out"))


def test_what_is_no_list_of_authorities_is_refused(tmp_path: Path) -> None:
    cloud = cloud_in(tmp_path)
    cloud.http = lambda _url: Answer(200, b"<html>You are offline</html>")
    with pytest.raises(Problem, match="did not give the certificates"):
        build.authorities(cloud)


def test_plain_chalice_in_the_checkout_says_what_to_run() -> None:
    command = [ROOT / ".venv" / "bin" / "chalice", "deploy", "--stage", "dev"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ONTASK", "JOBS"))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "make deploy STAGE=dev" in done.stderr
    assert "Traceback" not in done.stderr
