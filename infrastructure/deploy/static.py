"""Style sheets and scripts in the bucket: there before the code that names them, kept for pages that are still open."""

from __future__ import annotations

import json
import mimetypes
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chalicelib import clock
from chalicelib.web.static import version_of
from infrastructure.deploy.cloud import Cloud

KEY = "deploy/static.json"
#: How long the files of a release outlive it.
KEEP = timedelta(days=30)


def upload(cloud: Cloud, bucket: str, folder: Path) -> int:
    """Put this release's files, those in `folder`, into the bucket; return how many were missing."""
    s3 = cloud.client("s3")
    prefix = f"static/{version_of(folder)}/"
    there = {each["Key"] for each in _objects(s3, bucket, prefix)}
    wanted = {prefix + path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    missing = sorted(set(wanted) - there)
    for key in missing:
        path = wanted[key]
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=path.read_bytes(),
            ContentType=_kind(path.name),
            CacheControl="public, max-age=31536000, immutable",
        )
    return len(missing)


def _kind(name: str) -> str:
    kind = {".js": "text/javascript", ".woff2": "font/woff2"}.get("." + name.rpartition(".")[2])
    kind = kind or mimetypes.guess_type(name)[0] or "text/plain"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def forget_old(cloud: Cloud, bucket: str, folder: Path) -> None:
    """Note that this release is the current one, and remove those that were replaced more than 30 days ago."""
    s3 = cloud.client("s3")
    current = version_of(folder)
    now = clock.now()
    replaced = {name: at or now.isoformat() for name, at in _read(s3, bucket).items()}
    for name, at in list(replaced.items()):
        if name != current and now - datetime.fromisoformat(at) > KEEP:
            for each in _objects(s3, bucket, f"static/{name}/"):
                s3.delete_object(Bucket=bucket, Key=each["Key"])
            del replaced[name]
    body = json.dumps({**replaced, current: None})
    s3.put_object(Bucket=bucket, Key=KEY, Body=body.encode(), ContentType="application/json")


def _read(s3: Any, bucket: str) -> dict[str, str | None]:
    """Return when each release's files were replaced; None for the current one's."""
    try:
        found: dict[str, str | None] = json.loads(s3.get_object(Bucket=bucket, Key=KEY)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return {}
    return found


def _objects(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [each for page in pages for each in page.get("Contents", [])]
