"""Is what was deployed alive? Pages, database, queue, mail and its events, alarms: each tried from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chalicelib import clock
from chalicelib.delivery.doubt import SIMULATOR
from chalicelib.delivery.news import PROBE_TAG
from infrastructure.deploy.cloud import Cloud, Problem

POLL_SECONDS = 10
#: An alarm is set for at least two minutes ahead; a sleeping database, cold starts and events take their time.
PATIENCE_SECONDS = 420


def test(cloud: Cloud, outputs: dict[str, str], base_url: str) -> None:
    """Try everything.

    Raises Problem with what does not work.
    """
    _pages(cloud, base_url)
    began = clock.now()
    started = cloud.invoke("migrate", {"do": "try"})
    mail = _send_mail(cloud, outputs)
    waiting = {"queue": "a job through the queue", "alarm": "a job woken by an alarm"}
    if mail:
        waiting["mail"] = "the event of a mail to Amazon's simulator"
    waited = 0
    while waiting:
        found = cloud.invoke("migrate", {"do": "look", "jobs": started["jobs"]})
        for kind in [kind for kind in waiting if _is_done(kind, found, began)]:
            cloud.say(f"  Works: {waiting.pop(kind)}.")
        if waiting and waited >= PATIENCE_SECONDS:
            raise Problem(
                f"After {waited} seconds still missing: {', '.join(waiting.values())}. The functions' logs say more: "
                f"/aws/lambda/{cloud.app}…"
            )
        if waiting:
            cloud.sleep(POLL_SECONDS)
            waited += POLL_SECONDS


def _is_done(kind: str, found: dict[str, Any], began: datetime) -> bool:
    if kind == "mail":
        return bool(found["mail"]) and datetime.fromisoformat(found["mail"]) >= began.replace(microsecond=0)
    return bool(found[kind] == "done")


def _pages(cloud: Cloud, base_url: str) -> None:
    """Open the sign-in page and ask for the database, which may sleep; a new function starts cold."""
    for path, sign in (("/healthz?deep=1", b'"ok"'), ("/sign-in", b"<form")):
        waited = 0
        while True:
            answer = cloud.http(base_url + path)
            if answer.status == 200 and sign in answer.body:
                cloud.say(f"  Works: {base_url}{path}")
                break
            if waited >= PATIENCE_SECONDS:
                raise Problem(f"{base_url}{path} answers {answer.status}: {answer.body[:200]!r}")
            cloud.sleep(POLL_SECONDS)
            waited += POLL_SECONDS


def _send_mail(cloud: Cloud, outputs: dict[str, str]) -> bool:
    """Send a mail to the simulator; say what to do and return False while the sender is not verified."""
    ses = cloud.client("sesv2")
    identity = ses.get_email_identity(EmailIdentity=outputs["MailIdentity"])
    if not identity.get("VerifiedForSendingStatus"):
        cloud.say(f"  Not tried: mail. Amazon SES has not verified {outputs['MailIdentity']} yet.")
        for token in identity.get("DkimAttributes", {}).get("Tokens", []):
            domain = outputs["MailIdentity"].rpartition("@")[2]
            cloud.say(f"    DNS: {token}._domainkey.{domain} CNAME {token}.dkim.amazonses.com")
        cloud.say(f"    When it has: make smoke STAGE={cloud.stage}")
        return False
    ses.send_email(
        FromEmailAddress=outputs["MailFrom"],
        Destination={"ToAddresses": [SIMULATOR]},
        Content={"Simple": {"Subject": {"Data": "Smoke test"}, "Body": {"Text": {"Data": "Do events arrive?"}}}},
        ConfigurationSetName=outputs["SesConfigurationSet"],
        EmailTags=[{"Name": PROBE_TAG, "Value": str(int(clock.now().timestamp() * 1000))}],
    )
    return True
