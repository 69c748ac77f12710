"""One deployment of a stage at a time: a lock in the account, and one here that a killed process gives back."""

from __future__ import annotations

import fcntl
import getpass
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from infrastructure.deploy.cloud import ROOT, Cloud, Problem


def name(cloud: Cloud) -> str:
    """Return the name of the parameter that is the lock: it is there before the first stack."""
    return f"/{cloud.app}/deployment"


@contextmanager
def held(cloud: Cloud) -> Iterator[None]:
    """Hold the stage's lock.

    Raises Problem when somebody else does. A lock that this very checkout left behind was a killed run's: the local
    lock proves that no run of it is alive.
    """
    cloud.folder.mkdir(parents=True, exist_ok=True)
    with (cloud.folder / f"{cloud.stage}.lock").open("w") as local:
        try:
            fcntl.flock(local, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Problem(f"Another deployment of {cloud.stage} is under way on this machine.") from error
        _take(cloud)
        try:
            yield
        except Exception:
            release(cloud)
            raise
        release(cloud)


def _take(cloud: Cloud) -> None:
    ssm = cloud.client("ssm")
    me = f"{getpass.getuser()} on {socket.gethostname()} in {ROOT}"
    value = json.dumps({"by": me, "at": datetime.now(UTC).isoformat(timespec="seconds")})
    try:
        ssm.put_parameter(Name=name(cloud), Value=value, Type="String", Overwrite=False)
    except ssm.exceptions.ParameterAlreadyExists:
        holder = holder_of(cloud)
        if holder.get("by") != me:
            raise Problem(
                f"{holder.get('by', 'Somebody')} has been deploying {cloud.stage} since {holder.get('at')}. If that "
                f"run is dead: make unlock STAGE={cloud.stage}"
            ) from None
        cloud.say("The last run from here was cut off; going on from there.")


def holder_of(cloud: Cloud) -> dict[str, str]:
    """Return who holds the lock, and since when; nothing when nobody does."""
    ssm = cloud.client("ssm")
    try:
        found: dict[str, str] = json.loads(ssm.get_parameter(Name=name(cloud))["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return {}
    return found


def release(cloud: Cloud) -> None:
    """Give the lock back; one that nobody holds is fine."""
    ssm = cloud.client("ssm")
    try:
        ssm.delete_parameter(Name=name(cloud))
    except ssm.exceptions.ParameterNotFound:
        return
