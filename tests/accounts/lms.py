"""An LMS: it signs launches with Authlib, which shares nothing with what checks them."""

from __future__ import annotations

import itertools
from urllib.parse import urlencode

from authlib.oauth1.rfc5849.client_auth import ClientAuth

from chalicelib import clock
from tests.conftest import Browser, Page

CANVAS = "https://canvas.uni.example"
SECRET = "a secret between canvas and us"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NONCES = itertools.count()

#: What Canvas sends for a learner, a little shortened.
LEARNER = {
    "lti_message_type": "basic-lti-launch-request",
    "lti_version": "LTI-1p0",
    "resource_link_id": "link-1",
    "resource_link_title": "Your feedback",
    "context_id": "bio101",
    "context_title": "Biology 101 – año 1",
    "user_id": "86157096483e6b3a50bfedc6bac902c0b20a824f",
    "roles": "Learner",
    "lis_person_contact_email_primary": "Ada@Uni.example",
    "lis_person_name_given": "Ada",
    "lis_person_name_family": "Lovelace",
    "lis_person_sourcedid": "s123",
    "launch_presentation_return_url": "https://canvas.uni.example/courses/1/external?kept=1",
    "custom_canvas_user_id": "42",
    "ext_not_ours": "x",
}


def signed(
    fields: dict[str, str], url: str = "http://127.0.0.1:8910/lti_entry", *, key: str = "canvas", secret: str = SECRET,
    method: str = "HMAC-SHA1", nonce: str = "", age_seconds: int = 0,
) -> dict[str, str]:  # fmt: skip
    """Return the fields with those of OAuth 1.0, the signature among them."""
    auth = ClientAuth(key, secret, signature_method=method)
    at = str(int(clock.now().timestamp()) - age_seconds)
    made = {**fields, **dict(auth.get_oauth_params(nonce or f"nonce-{next(NONCES)}", at))}
    made["oauth_signature"] = auth.get_oauth_signature("POST", url, FORM, urlencode(made))
    return made


def launch(browser: Browser, fields: dict[str, str], path: str = "/lti_entry") -> Page:
    """Post a launch as the LMS's page does, from another site."""
    return browser.request("POST", path, urlencode(fields), {"sec-fetch-dest": "iframe"})


def come_in(browser: Browser, fields: dict[str, str], path: str = "/lti_entry") -> Page:
    """Launch and follow to the first page."""
    arrival = browser.follow(launch(browser, fields, path))
    assert arrival.status == 303, arrival.body
    return browser.follow(arrival)
