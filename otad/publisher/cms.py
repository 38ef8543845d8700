"""The signature that SWUpdate itself checks: CMS over sw-description, by a certificate that an authority of the workspace issued.

Rules:
 1. Both certificates are valid from 1970 to 9999: SWUpdate judges them by a clock that may be wrong. The signer is revoked
    through the signed releases, not by its dates.
 2. The signer has the extended key usage emailProtection, which SWUpdate demands of a certificate that has any
    (`corelib/swupdate_cms_verify.c`).
 3. No signed attributes: with an RSA key the same description gives the same bytes, so a bundle can be built again and compared.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder
from cryptography.x509.oid import ExtendedKeyUsageOID

from otad.errors import Rejected, Who
from otad.publisher import certificate, drafts
from otad.publisher.keys import KeyFolder, KeyType

AUTHORITY = "swupdate-ca"
SIGNER = "swupdate"
BEGIN = datetime(1970, 1, 1, tzinfo=timezone.utc)
END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)


class BundleSigner:
    """Issues the certificates, and signs. The keys are `swupdate-ca` and `swupdate` of the key folder."""

    def __init__(self, keys: KeyFolder) -> None:
        self._keys = keys

    @property
    def authority(self) -> Path:
        """The certificate that devices trust: `swupdate.ca` in otad.toml, `-k` of SWUpdate."""
        return self._keys.path / f"{AUTHORITY}.crt"

    def create(self, product: str, key_type: KeyType, passphrase: bytes | None = None) -> None:
        """Make the authority and its signer, whose common name is `<product> releases`."""
        for name in (AUTHORITY, SIGNER):
            self._keys.make(name, key_type, passphrase)
        authority = certificate.named(f"{product} update authority")
        self._issue(AUTHORITY, authority, authority, certificate.usage(authority=True), certificate.AUTHORITY)
        mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        leaf = certificate.named(f"{product} releases")
        self._issue(SIGNER, leaf, authority, certificate.usage(authority=False), certificate.LEAF, mail)

    def sign(self, description: str) -> bytes:
        """CMS signature (DER, detached) over `description` as UTF-8."""
        signer = x509.load_pem_x509_certificate((self._keys.path / f"{SIGNER}.crt").read_bytes())
        builder = PKCS7SignatureBuilder().set_data(description.encode()).add_signer(signer, self._key(SIGNER), SHA256())
        # NoAttributes leaves out the capabilities too, which SWUpdate's tools call -nosmimecap
        return builder.sign(Encoding.DER, [PKCS7Options.Binary, PKCS7Options.DetachedSignature, PKCS7Options.NoAttributes])

    def _key(self, name: str) -> RSAPrivateKey | EllipticCurvePrivateKey:
        key = self._keys.private(name)
        if not isinstance(key, (RSAPrivateKey, EllipticCurvePrivateKey)):
            raise Rejected("key-type", f"the key {name} can make no CMS signature", "Use an RSA or EC key", who=Who.INTEGRATOR)
        return key

    def _issue(self, name: str, subject: x509.Name, issuer: x509.Name, *extensions: x509.ExtensionType) -> None:
        authority = self._key(AUTHORITY)
        builder = certificate.begun(subject, self._key(name).public_key(), issuer, authority.public_key(), (BEGIN, END))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=not isinstance(extension, x509.ExtendedKeyUsage))
        drafts.write(self._keys.path / f"{name}.crt", builder.sign(authority, SHA256()).public_bytes(Encoding.PEM))
