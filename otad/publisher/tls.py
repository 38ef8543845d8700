"""A certificate for trying things: an authority made on the spot, and a server certificate that it issued.

Rules:
 1. It is for a bench, never for a fleet: valid for some days, from an hour ago (clocks differ).
 2. Devices check the server as they check any other: by the authority's certificate, `repository.ca` in otad.toml.
 3. What is in the folder already is used again while it has a day left, so a device that trusts it keeps working.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from otad.publisher import certificate, drafts

LOCAL = ("localhost", "127.0.0.1", "::1")
DAYS = 30


@dataclass(frozen=True)
class Certificate:
    """PEM files. `ca` is what a client has to trust; None when the certificate is the user's own."""

    cert: Path
    key: Path
    ca: Path | None = None


def made(folder: Path, names: Sequence[str] = LOCAL, *, now: datetime, days: int = DAYS) -> Certificate:
    """A certificate for `names` (host names and addresses), in `folder`; valid for `days` when it is made now."""
    files = Certificate(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    if not _usable(files, names, now):
        _make(folder, names, now, days)
    return files


def _usable(files: Certificate, names: Sequence[str], now: datetime) -> bool:
    if not (files.cert.exists() and files.key.exists() and files.ca and files.ca.exists()):
        return False
    old = x509.load_pem_x509_certificate(files.cert.read_bytes())
    held = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return old.not_valid_after_utc > now + timedelta(days=1) and all(_general(name) in held for name in names)


def _make(folder: Path, names: Sequence[str], now: datetime, days: int) -> None:
    authority, server = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    issuer = certificate.named("otarepo serve, for trying things")
    valid = now - timedelta(hours=1), now + timedelta(days=days)
    ca = certificate.begun(issuer, authority.public_key(), issuer, authority.public_key(), valid)
    ca = ca.add_extension(certificate.AUTHORITY, critical=True).add_extension(certificate.usage(authority=True), critical=True)
    leaf = certificate.begun(certificate.named(names[0]), server.public_key(), issuer, authority.public_key(), valid)
    leaf = leaf.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
    pem = server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    drafts.write(folder / "server.key", pem, 0o600)
    drafts.write(folder / "server.pem", leaf.sign(authority, SHA256()).public_bytes(Encoding.PEM))
    drafts.write(folder / "ca.pem", ca.sign(authority, SHA256()).public_bytes(Encoding.PEM))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
