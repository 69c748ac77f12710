"""Every setting, read once from the environment into one frozen, typed object."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
from typing import Annotated, get_type_hints

#: Sessions, links and tokens are signed with HMAC-SHA-256; RFC 7518 §3.2 asks for a key of at least 32 bytes.
MIN_SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one installation. The note on each field is its line in `docs/configuration.md`."""

    ontask_stage: Annotated[str, "local, test, dev or prod"] = "local"
    database_url: Annotated[str, "Where PostgreSQL is: postgresql+pg8000://user@host:port/name"] = ""
    database_secret: Annotated[str, "The secret in Secrets Manager with `username` and `password` for the database"] = (
        ""
    )
    database_ca: Annotated[str, "The file with the certificates of the database's authority"] = ""
    app_database_secret: Annotated[str, "The secret of the role that `migrate` prepares for the other functions"] = ""
    base_url: Annotated[str, "The public address of the product, without a slash at the end"] = "http://127.0.0.1:8910"
    secret_key: Annotated[str, "Signs sessions, links and tokens; at least 32 bytes"] = ""
    secret_key_secret: Annotated[str, "The secret in Secrets Manager that holds the signing key instead"] = ""
    edge_key_secret: Annotated[str, "The secret in Secrets Manager by which CloudFront is known"] = ""
    lti_credentials: Annotated[str, "The LMSs that may send learners here: key1=secret1,key2=secret2 or JSON"] = ""
    lti_credentials_secret: Annotated[str, "The secret in Secrets Manager that holds these instead, as JSON"] = ""
    lti_seconds: Annotated[int, "Seconds by which the clock of an LMS may be wrong and a launch be old"] = 300
    remote_user_header: Annotated[str, "The header in which a front end tells who is signed in; empty: none does"] = ""
    remote_user_proof_header: Annotated[str, "The header in which the front end sends its secret"] = "X-OnTask-Proxy"
    remote_user_proof: Annotated[str, "The front end's secret; without one no front end is believed"] = ""
    remote_user_secret: Annotated[str, "The secret in Secrets Manager that holds it instead"] = ""
    bucket: Annotated[str, "The S3 bucket for uploads and downloads"] = "ontask-files"
    upload_origin: Annotated[str, "The S3 origin that browsers upload to, for the security policy"] = ""
    jobs_queue: Annotated[str, "The SQS queue of imports, exports and planning"] = "ontask-jobs"
    outbox_queue: Annotated[str, "The SQS queue that wakes the senders"] = "ontask-outbox"
    events_queue: Annotated[str, "The SQS queue of mail events"] = "ontask-events"
    events_topic_arn: Annotated[str, "The SNS topic whose mail events are believed"] = (
        "arn:aws:sns:us-east-1:123456789012:ontask-mail-events"
    )
    ses_configuration_set: Annotated[str, "The SES configuration set of every mail"] = "ontask"
    mail_from: Annotated[str, "The verified sender of every mail"] = "no-reply@ontask.example"
    safe_mode_address: Annotated[str, "When set, every mail goes to this address instead"] = ""
    mail_rate: Annotated[float, "Recipients per second until SES tells its own limit"] = 14.0
    mail_daily_quota: Annotated[int, "Recipients per 24 hours until SES tells its own limit"] = 50_000
    email_burst: Annotated[int, "Recipients sent before a pause; 0 for no pauses"] = 0
    email_burst_pause: Annotated[int, "Seconds to pause after each burst"] = 0
    email_host: Annotated[str, "A mail server of your own instead of Amazon SES; empty for SES"] = ""
    email_port: Annotated[int, "Its port; 0 for 587, for 465 with EMAIL_USE_SSL, for 25 without encryption"] = 0
    email_host_user: Annotated[str, "The name to sign in to it with; empty for none"] = ""
    email_host_password: Annotated[str, "The password to sign in to it with"] = ""
    email_host_secret: Annotated[str, "The secret in Secrets Manager that holds the password instead"] = ""
    email_use_tls: Annotated[bool, "Encrypt the connection once it is open (STARTTLS)"] = True
    email_use_ssl: Annotated[bool, "Encrypt the connection from the start instead"] = False
    email_timeout: Annotated[float, "Seconds to wait for each of its answers, 10 at most"] = 10.0
    undo_seconds: Annotated[int, "Seconds in which a confirmed run can be undone"] = 10
    confirm_above: Annotated[int, "Messages of a run above which their number is typed to confirm it; 0 for never"] = (
        500
    )
    scheduler_group: Annotated[str, "The EventBridge Scheduler group of the alarms"] = "ontask"
    scheduler_role_arn: Annotated[str, "The role by which alarms invoke run_due"] = (
        "arn:aws:iam::123456789012:role/ontask-alarms"
    )
    run_due_arn: Annotated[str, "The function that alarms invoke"] = (
        "arn:aws:lambda:us-east-1:123456789012:function:ontask-run_due"
    )
    max_upload_mb: Annotated[int, "The largest file that can be uploaded, in MB"] = 200
    upload_kinds: Annotated[str, "Kinds of files that can be uploaded into tables, such as csv,xlsx; empty: all"] = ""
    max_mail_mb: Annotated[int, "The largest mail, files included, in MB; most mail providers take 20 to 25"] = 20
    kept_versions_mb: Annotated[int, "MB that the earlier tables of all workflows may take; the oldest go first"] = 2000
    event_days: Annotated[int, "Days for which events of the log are kept; then they go to the bucket. 0: for ever"] = (
        730
    )
    count_opens: Annotated[bool, "Whether senders may count who opens their mails"] = True
    count_clicks: Annotated[bool, "Whether senders may count who follows a link"] = True
    privacy_notice: Annotated[str, "A sentence at the end of mails in which opens or clicks are counted"] = ""
    google_sheets_url: Annotated[str, "Where Google Sheets are fetched from"] = "https://docs.google.com"
    min_repeat_minutes: Annotated[int, "Minutes that must lie between two times of a repeated sending"] = 15
    push_hosts: Annotated[str, "Hosts in private networks that JSON may be sent to: a.example,b.example"] = ""
    push_rate: Annotated[float, "Requests per second to each host that JSON is sent to"] = 5.0
    disabled_kinds: Annotated[str, "Kinds of actions that are not offered, such as survey,json_report"] = ""
    session_minutes: Annotated[int, "Minutes without a request after which a session ends"] = 30

    @property
    def is_local(self) -> bool:
        """Whether this is a one-machine installation or a test."""
        return self.ontask_stage in {"local", "test"}

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies are only sent over https."""
        return self.base_url.startswith("https://")


def read(environment: dict[str, str]) -> Settings:
    """Read the settings from `environment`; an empty variable counts as absent.

    Raises ValueError naming the variable when a number is not a number, or yes or no is neither.
    """
    kinds = get_type_hints(Settings)
    values: dict[str, object] = {}
    for name, kind in kinds.items():
        text = environment.get(name.upper(), "").strip()
        if not text:
            continue
        try:
            values[name] = _truth(text) if kind is bool else kind(text)
        except ValueError:
            raise ValueError(f"{name.upper()} must be a {kind.__name__}, not {text!r}") from None
    return Settings(**values)  # type: ignore[arg-type]


def _truth(text: str) -> bool:
    if text.lower() in {"true", "yes", "on", "1"}:
        return True
    if text.lower() in {"false", "no", "off", "0"}:
        return False
    raise ValueError(text)


@cache
def settings() -> Settings:
    """Return this process's settings. Tests that change the environment call `settings.cache_clear()`."""
    return read(dict(os.environ))


def check_installation() -> None:
    """End Chalice's own commands in a checkout: they would deploy it without dependencies, network and settings.

    In the build copy that `make deploy` leaves in .ontask/deploy they have all of these and go on.
    """
    if os.environ.get("AWS_CHALICE_CLI_MODE") and not settings().database_secret:
        stage = settings().ontask_stage
        sys.exit(
            f"Chalice can't deploy this checkout: it knows nothing of an installation. Run: make deploy STAGE={stage}\n"
            f"Afterwards plain `chalice deploy --stage {stage}` works in .ontask/deploy/{stage}."
        )


def secret_key() -> bytes:
    """Return the signing key.

    Raises RuntimeError when it is missing or shorter than 32 bytes: an installation without one must not start.
    """
    config = settings()
    if config.secret_key_secret:
        from chalicelib.aws import secrets

        key = secrets.text(config.secret_key_secret).encode()
    else:
        key = config.secret_key.encode()
    if len(key) < MIN_SECRET_BYTES:
        raise RuntimeError(f"SECRET_KEY must have at least {MIN_SECRET_BYTES} bytes")
    return key
