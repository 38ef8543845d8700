"""X.509 as both authorities of otarepo use it: that of SWUpdate's bundles, and the one that is made for a bench.

Rules:
 1. Every certificate names its own key and its issuer's: a verifier finds the chain also where two authorities have one name.
 2. An authority signs certificates and revocation lists, and nothing else; what it issues signs data.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes, CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

AUTHORITY = x509.BasicConstraints(ca=True, path_length=0)
LEAF = x509.BasicConstraints(ca=False, path_length=None)
COMMON_NAME_LENGTH = 64  # RFC 5280, ub-common-name


def named(common: str) -> x509.Name:
    """A name that is nothing but a common name, cut to what fits into one."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:COMMON_NAME_LENGTH])])


def begun(
    subject: x509.Name,
    public: CertificatePublicKeyTypes,
    issuer: x509.Name,
    issuer_public: CertificateIssuerPublicKeyTypes,
    valid: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    """A certificate of `public`, to be signed by the issuer's key; `valid` from and to (aware)."""
    return (
        x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number(), *valid)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
    )


def usage(*, authority: bool) -> x509.KeyUsage:
    """What the key may sign: certificates (an authority's), or data."""
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
