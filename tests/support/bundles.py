"""Bundles for tests and benchmarks: signed in memory, good ones and every kind of bad one."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from otad.formats import swu

CONFINE = Path(__file__).parents[2] / "simulator" / "confine"
BOARD = "jetson-nano 1.0"
NAME = "rootfs.img"
EVER = (datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(9999, 12, 31, tzinfo=timezone.utc))


def unavailable() -> str | None:
    """Why SWUpdate cannot be run here; None when it can."""
    needed = ("swupdate", "unshare") if os.geteuid() == 0 else ("swupdate",)
    missing = [tool for tool in needed if shutil.which(tool) is None]
    return f"needs {', '.join(missing)}" if missing else None


@dataclass(frozen=True)
class Signer:
    """Signs sw-descriptions; `file` is its certificate (PEM), to be trusted with -k."""

    file: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path, name: str = "releases", valid: tuple[datetime, datetime] = EVER) -> Signer:
        """A self-signed one, written to `folder`/`name`.pem."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), *valid)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
            .sign(key, SHA256())
        )
        file = folder / f"{name}.pem"
        file.write_bytes(certificate.public_bytes(Encoding.PEM))
        return cls(file, key, certificate)

    def sign(self, description: str) -> bytes:
        """CMS, DER, detached."""
        builder = PKCS7SignatureBuilder().set_data(description.encode()).add_signer(self.certificate, self.key, SHA256())
        return builder.sign(Encoding.DER, [PKCS7Options.Binary, PKCS7Options.DetachedSignature, PKCS7Options.NoCapabilities])


def same(text: str) -> str:
    """No change."""
    return text


def bundle(
    signer: Signer,
    image: bytes,
    *,
    promised: bytes | None = None,
    before: Callable[[str], str] = same,
    after: Callable[[str], str] = same,
    name: str = NAME,
) -> bytes:
    """A bundle of `image`. `promised`: what its hash is of instead; `before`, `after`: changes before and after signing."""
    sha256 = hashlib.sha256(image if promised is None else promised).hexdigest()
    description = before(swu.describe("1.1.0", [BOARD], name, sha256))
    out = BytesIO()
    swu.pack(after(description), signer.sign(description), [(NAME, BytesIO(image), len(image))], out)
    return out.getvalue()


def with_section(section: str) -> Callable[[str], str]:
    """Adds `section` beside the images of each slot."""
    return lambda text: text.replace("images =", f"{section}\nimages =")


def with_key(key: str) -> Callable[[str], str]:
    """Adds `key` to each image."""
    return lambda text: text.replace("type =", f"{key}\ntype =")
