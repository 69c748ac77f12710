"""S3: uploads come straight from the browser, downloads go straight to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from chalicelib import errors
from chalicelib.aws.client import client
from chalicelib.settings import settings

#: Longer than a slow line needs to begin an upload, too short for a leaked form to be of use.
UPLOAD_FORM_SECONDS = 900
DOWNLOAD_LINK_SECONDS = 300


@dataclass(frozen=True)
class StoredFile:
    """An object as it was when it was looked at: `version` pins those very bytes."""

    key: str
    size: int
    version: str | None


@dataclass(frozen=True)
class UploadForm:
    """A form that lets a browser put one file under one key: post `fields` and then `file` to `url`."""

    url: str
    fields: dict[str, str]


def upload_form(key: str, max_bytes: int) -> UploadForm:
    """Return a presigned POST for `key`, good for 15 minutes and files of 1 to `max_bytes` bytes."""
    form = client("s3").generate_presigned_post(
        settings().bucket,
        key,
        Conditions=[["content-length-range", 1, max_bytes]],
        ExpiresIn=UPLOAD_FORM_SECONDS,
    )
    return UploadForm(form["url"], form["fields"])


def look(key: str) -> StoredFile:
    """Return size and version of the object.

    Raises errors.NotFound when there is none, errors.Unavailable when S3 can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        head = client("s3").head_object(Bucket=settings().bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            raise errors.NotFound("The file did not arrive.") from error
        raise errors.Unavailable("The file store can't be reached just now.") from error
    except BotoCoreError as error:
        raise errors.Unavailable("The file store can't be reached just now.") from error
    return StoredFile(key, head["ContentLength"], head.get("VersionId"))


def fetch(file: StoredFile, target: IO[bytes]) -> None:
    """Copy the very bytes of `file` into `target`.

    Raises errors.Unavailable when S3 can't be reached.
    """
    for chunk in _chunks(file):
        target.write(chunk)


def read(key: str, version: str | None = None) -> bytes:
    """Return the bytes of an object, or of one version of it.

    Raises errors.NotFound when there is none, errors.Unavailable when S3 can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        pinned: dict[str, Any] = {"VersionId": version} if version else {}
        return bytes(client("s3").get_object(Bucket=settings().bucket, Key=key, **pinned)["Body"].read())
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            raise errors.NotFound("The file is not kept any more.") from error
        raise errors.Unavailable("The file store can't be reached just now.") from error
    except BotoCoreError as error:
        raise errors.Unavailable("The file store can't be reached just now.") from error


def _chunks(file: StoredFile) -> Iterator[bytes]:
    from botocore.exceptions import BotoCoreError, ClientError

    version: dict[str, Any] = {"VersionId": file.version} if file.version else {}
    try:
        body = client("s3").get_object(Bucket=settings().bucket, Key=file.key, **version)["Body"]
        yield from body.iter_chunks(1 << 20)
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The file store can't be reached just now.") from error


def listed(prefix: str) -> Iterator[tuple[str, datetime]]:
    """Give the keys of the objects whose keys begin so, with when each was stored.

    Raises errors.Unavailable when S3 can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=settings().bucket, Prefix=prefix):
            yield from ((found["Key"], found["LastModified"]) for found in page.get("Contents", []))
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The file store can't be reached just now.") from error


def put(key: str, body: bytes | IO[bytes], content_type: str) -> None:
    """Store `body` under `key`.

    Raises errors.Unavailable when S3 can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client("s3").put_object(Bucket=settings().bucket, Key=key, Body=body, ContentType=content_type)
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The file store can't be reached just now.") from error


def download_link(key: str, filename: str) -> str:
    """Return a presigned address, good for 5 minutes, that downloads `key` under the name `filename`."""
    from urllib.parse import quote

    return str(
        client("s3").generate_presigned_url(
            "get_object",
            Params={
                "Bucket": settings().bucket,
                "Key": key,
                # RFC 6266 §4.1: the starred form carries any character.
                "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
            },
            ExpiresIn=DOWNLOAD_LINK_SECONDS,
        )
    )


def view_link(key: str, content_type: str) -> str:
    """Return a presigned address, good for 5 minutes, that shows `key` as what it is."""
    params = {"Bucket": settings().bucket, "Key": key, "ResponseContentType": content_type}
    return str(client("s3").generate_presigned_url("get_object", Params=params, ExpiresIn=DOWNLOAD_LINK_SECONDS))


def remove(key: str) -> None:
    """Delete the object; one that is not there is fine.

    Raises errors.Unavailable when S3 can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client("s3").delete_object(Bucket=settings().bucket, Key=key)
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The file store can't be reached just now.") from error
