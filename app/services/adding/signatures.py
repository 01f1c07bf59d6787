"""Ed25519 signatures under a bundle's ``SHA256SUMS``, and so under all of it. Knows no table and no setting.

``SIGNATURE`` is one line: the fingerprint of the public key (its SHA-256) and the signature, both in hexadecimal.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from models.bundle import SIGNATURE, SUMS, BundleError

_SIGNED = b"lighttrap bundle\n"
"""Before what is signed, so that a signature made for something else is none of a bundle."""

_LINE = re.compile(rb"^([0-9a-f]{64}) ([0-9a-f]{128})\n?$")


def new_key() -> tuple[bytes, bytes]:
    """A private and a public key, as PEM."""
    private = Ed25519PrivateKey.generate()
    return (
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def read_public_key(pem: bytes) -> bytes:
    """The 32 bytes of a public key. Raises ValueError."""
    try:
        key = serialization.load_pem_public_key(pem)
    except Exception as error:  # the library raises what its parser finds
        raise ValueError("is not a public key in PEM ('-----BEGIN PUBLIC KEY-----')") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("is not an Ed25519 key")
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def sign(folder: Path, private_pem: bytes) -> str:
    """Write ``SIGNATURE`` into a bundle's folder; the key's fingerprint. Raises ValueError, OSError."""
    try:
        key = serialization.load_pem_private_key(private_pem, password=None)
    except Exception as error:  # as above; also a key that is protected by a password
        raise ValueError("is not a private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("is not an Ed25519 key")
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    signature = key.sign(_SIGNED + (folder / SUMS).read_bytes())
    (folder / SIGNATURE).write_text(f"{fingerprint(raw)} {signature.hex()}\n", encoding="ascii")
    return fingerprint(raw)


def fingerprint(public_key: bytes) -> str:
    """What a key is called: the SHA-256 of its 32 bytes."""
    return hashlib.sha256(public_key).hexdigest()


def signer(folder: Path, trusted: Mapping[str, bytes], *, required: bool) -> str | None:
    """Fingerprint of the trusted key that signed a bundle's folder; None where none did and none is required.

    trusted: public keys (32 bytes) by fingerprint. Raises BundleError for a missing signature, an unknown key, or a
    signature that does not belong to this ``SHA256SUMS``.
    """
    file = folder / SIGNATURE
    if not file.exists():
        if required:
            raise BundleError(f"{SIGNATURE}: is missing; only signed bundles are taken here")
        return None
    line = _LINE.match(file.read_bytes())
    if line is None:
        raise BundleError(f"{SIGNATURE}: is not '<fingerprint> <signature>' in hexadecimal")
    named = line[1].decode()
    key = trusted.get(named)
    if key is None:
        if required:
            raise BundleError(f"{SIGNATURE}: is by the key {named[:16]}…, which is not trusted here")
        return None
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(
            bytes.fromhex(line[2].decode()), _SIGNED + (folder / SUMS).read_bytes()
        )
    except InvalidSignature as error:
        raise BundleError(f"{SIGNATURE}: is not the one of {SUMS} by the key {named[:16]}…") from error
    return named
