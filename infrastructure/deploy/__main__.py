"""The commands behind `make deploy`, `make plan`, `make smoke`, `make unlock` and `make destroy`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from infrastructure.deploy import lock, removal, smoke, stacks
from infrastructure.deploy.cloud import ROOT, Cloud, Problem, open_cloud
from infrastructure.deploy.steps import Deployment


def main(arguments: list[str] | None = None, ask: Callable[[str], str] = input) -> int:
    """Do what the command line says; return the exit status."""
    options = _options(arguments)
    try:
        _check_stage(options.stage)
        cloud = open_cloud(options.stage)
        settings = dict(_pair(text) for text in options.set.split())
        if options.command == "deploy":
            Deployment(cloud, settings).run()
        elif options.command == "plan":
            Deployment(cloud, settings).plan()
        elif options.command == "smoke":
            _smoke(cloud)
        elif options.command == "unlock":
            lock.release(cloud)
            print(f"Nobody is deploying {options.stage} any more.")
        else:
            _destroy(cloud, options.sure, ask)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"AWS refused: {error}. Put it right and run the same command again.", file=sys.stderr)
        return 1
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make", description="Operate the product in an AWS account.")
    parser.add_argument("command", choices=["deploy", "plan", "smoke", "unlock", "destroy"])
    parser.add_argument("--stage", default="", help="the stage, as in .chalice/config.json")
    parser.add_argument("--set", default="", help="parameters, such as 'MailFrom=no-reply@uni.example'")
    parser.add_argument("--sure", default="", help="the stage's name once more, to destroy it without being asked")
    return parser.parse_args(arguments)


def _check_stage(stage: str) -> None:
    known = sorted(json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"])
    if stage not in known:
        raise Problem(f"Say which stage: STAGE={' or STAGE='.join(known)}.")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Problem(f'{text} is not of the form Name=value, as in SET="MailFrom=no-reply@uni.example".')
    return name, value


def _smoke(cloud: Cloud) -> None:
    base_url = stacks.outputs(cloud, f"{cloud.app}-edge").get("BaseUrl")
    if not base_url:
        raise Problem(f"{cloud.stage} is not deployed: make deploy STAGE={cloud.stage}")
    smoke.test(cloud, stacks.outputs(cloud, f"{cloud.app}-base"), base_url)


def _destroy(cloud: Cloud, sure: str, ask: Callable[[str], str]) -> None:
    cloud.say(f"This removes {cloud.stage} with everybody's data. A last snapshot of its database stays.")
    if not sure and sys.stdin.isatty():
        sure = ask(f"Write {cloud.stage} to go on: ")
    if sure.strip() != cloud.stage:
        raise Problem(f"Nothing was removed. Without a keyboard: make destroy STAGE={cloud.stage} SURE={cloud.stage}")
    removal.run(cloud)


if __name__ == "__main__":
    sys.exit(main())
