"""Secrets of people, such as tokens for other systems, as they are stored: encrypted with a key of the installation.

AES-256-GCM; the key comes from the secret key by HKDF-SHA-256 (RFC 5869). What was sealed for one purpose can't be
opened for another, so that a stored secret is of no use in another row.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from chalicelib.settings import secret_key

_NONCE_BYTES = 12


def seal(purpose: str, secret: str) -> str:
    """Return a secret as it is stored."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key()).encrypt(nonce, secret.encode(), purpose.encode())
    return urlsafe_b64encode(nonce + sealed).decode()


def unseal(purpose: str, sealed: str) -> str | None:
    """Return a secret that was sealed for `purpose`; None when it was not, or the installation has another key now."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    stored = urlsafe_b64decode(sealed)
    try:
        return AESGCM(_key()).decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], purpose.encode()).decode()
    except InvalidTag:
        return None


def _key() -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"sealed secrets").derive(secret_key())
