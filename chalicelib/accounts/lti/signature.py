"""Whether a launch is what its LMS signed (OAuth 1.0, RFC 5849, as LTI 1.1 wants it), is new, and comes once.

oauthlib does the arithmetic. Time and nonces are looked at here: after the signature, so that nobody without a secret
can fill the table of nonces, and by our clock.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from sqlalchemy.orm import Session as Transaction

from chalicelib import clock
from chalicelib.accounts import once
from chalicelib.accounts.lti import credentials
from chalicelib.accounts.lti.credentials import Credential
from chalicelib.accounts.lti.refusals import Refused
from chalicelib.settings import settings

if TYPE_CHECKING:
    from oauthlib.oauth1 import SignatureOnlyEndpoint

METHODS = ("HMAC-SHA1", "HMAC-SHA256")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MAX_NONCE_LENGTH = 200


def check(session: Transaction, path: str, query: dict[str, list[str]], body: str) -> Credential:
    """Return the credential by which the posted form `body` is signed; `path` is below the public address.

    Raises Refused when there is none, the signature is wrong, or the launch is old or was used before.
    """
    known = credentials.all_known()
    if not known:
        raise Refused("not_set_up")
    endpoint = _endpoint(known)
    for address in _addresses(path, query, body):
        try:
            valid, request = endpoint.validate_request(address, "POST", body, FORM)
        except ValueError as error:  # oauthlib refuses what is not URL-encoded
            raise Refused("signature") from error
        if valid:
            break
    else:
        is_unknown = request is not None and request.oauth_params.get("oauth_consumer_key") not in known
        raise Refused("key" if is_unknown else "signature")
    credential = known[request.client_key]
    _check_time(int(request.timestamp))
    key = f"{credential.key}\0{request.timestamp}\0{request.nonce}"
    if not once.use(session, "nonce", key, clock.now() + 2 * _window()):
        raise Refused("replay")
    return credential


def _addresses(path: str, query: dict[str, list[str]], body: str) -> list[str]:
    """Return the addresses over which the LMS may have signed.

    Some LMSs post the query of the tool's address among the fields, too, and sign each of these once.
    """
    address = settings().base_url + path
    if not query:
        return [address]
    posted = parse_qs(body, keep_blank_values=True)
    is_posted = all(posted.get(name) == values for name, values in query.items())
    return [f"{address}?{urlencode(query, doseq=True)}", *([address] if is_posted else [])]


def _window() -> timedelta:
    return timedelta(seconds=settings().lti_seconds)


def _check_time(timestamp: int) -> None:
    if abs(clock.now().timestamp() - timestamp) > _window().total_seconds():
        raise Refused("time")


def _endpoint(known: dict[str, Credential]) -> SignatureOnlyEndpoint:
    from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint

    class Validator(RequestValidator):
        """Knows the secrets; LMSs write keys and nonces in their own ways, so neither has a fixed length here."""

        allowed_signature_methods = METHODS
        enforce_ssl = settings().secure_cookies
        timestamp_lifetime = 10**10  # `check` compares with our own clock
        dummy_client = "\0nobody"

        def check_client_key(self, _key: str) -> bool:
            return True

        def check_nonce(self, nonce: str) -> bool:
            return len(nonce) <= MAX_NONCE_LENGTH

        def validate_timestamp_and_nonce(self, *_: object, **__: object) -> bool:
            return True

        def validate_client_key(self, key: str, _request: object) -> bool:
            return key in known

        def get_client_secret(self, key: str, _request: object) -> str:
            return known[key].secret if key in known else "nobody's secret"

        def get_access_token_secret(self, *_: object) -> str:
            return ""

    return SignatureOnlyEndpoint(Validator())
