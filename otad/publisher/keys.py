"""The keys of a workspace: one folder of PEM files.

Rules:
 1. `<name>.pem` is the private key (PKCS#8, 0600, encrypted when made with a passphrase), `<name>.pub` the public one.
 2. A role's keys are found by what the metadata says, never by their file name: a folder that has only some of the keys (online
    ones on the server that refreshes, offline ones on the signing machine) can sign only what those keys may.
 3. A key that was replaced goes to `retired/`: nothing secret is deleted by a command that might have been a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.exceptions import UnsupportedAlgorithmError
from securesystemslib.signer import CryptoSigner, SSlibKey

from otad import durable
from otad.errors import OtadError, Rejected, Who
from otad.publisher import drafts

PRIVATE = 0o600
Passphrase = Callable[[str], bytes]
"""Called with a key's name when its file is encrypted."""


class KeyType(str, Enum):
    """rsa is RSA-4096 with PSS and SHA-256; ec (P-256) is for SWUpdate's certificate only."""

    ED25519 = "ed25519"
    RSA = "rsa"
    EC = "ec"


def no_passphrase(name: str) -> bytes:
    """The Passphrase of a program that has none."""
    raise Rejected(
        "key-locked",
        f"the key {name} is encrypted and no passphrase was given",
        "Set OTAREPO_PASSPHRASE, or run the command on a terminal",
        who=Who.INTEGRATOR,
    )


class KeyFolder:
    """Makes, finds and opens keys in `path`."""

    def __init__(self, path: Path, passphrase: Passphrase = no_passphrase) -> None:
        self.path = path
        self._passphrase = passphrase

    def make(self, name: str, key_type: KeyType, passphrase: bytes | None = None) -> SSlibKey:
        """A new key pair, its private file encrypted when there is a passphrase. Never overwrites one."""
        if (self.path / f"{name}.pem").exists():
            raise Rejected("key-exists", f"{self.path} already has a key {name}", "Choose another name", who=Who.INTEGRATOR)
        private = _generate(key_type)
        hidden: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        drafts.write(self.path / f"{name}.pem", private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden), PRIVATE)
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        drafts.write(self.path / f"{name}.pub", public)
        return SSlibKey.from_crypto(private.public_key())

    def make_like(self, name: str) -> tuple[str, SSlibKey]:
        """A successor of key `name`: root1 -> the next free root number; same type, same passphrase if it has one."""
        key_type = KeyType(self._public_key(name).keytype)
        stem = re.sub(r"\d+$", "", name)
        taken = [path.stem for path in self.path.rglob(f"{stem}*.pub")]
        number = max(int(n) if (n := old[len(stem) :]).isdigit() else 1 for old in taken) + 1
        passphrase = self._passphrase(name) if self.locked(name) else None
        return f"{stem}{number}", self.make(f"{stem}{number}", key_type, passphrase)

    def public(self) -> Mapping[str, SSlibKey]:
        """Name -> public key, of every key that is not retired."""
        return {path.stem: self._public_key(path.stem) for path in sorted(self.path.glob("*.pub"))}

    def name(self, keyid: str) -> str | None:
        """What the key `keyid` is called here; None when it is not here."""
        return next((name for name, key in self.public().items() if key.keyid == keyid), None)

    def signers(self, keyids: Iterable[str]) -> list[CryptoSigner]:
        """Signers for those of `keyids` whose private key is here."""
        wanted = set(keyids)
        here = [name for name, key in self.public().items() if key.keyid in wanted and (self.path / f"{name}.pem").exists()]
        return [CryptoSigner(self.private(name), self._public_key(name)) for name in here]

    def private(self, name: str) -> PrivateKeyTypes:
        """The private key `name`. Raises OtadError("key-missing"), or Rejected("key-locked") without its passphrase."""
        file = self.path / f"{name}.pem"
        if not file.exists():
            what = f"cannot sign: {file} is not here"
            raise OtadError("key-missing", what, "Bring it, or sign where it is", who=Who.INTEGRATOR)
        return _opened(file, self._passphrase)

    def retire(self, name: str) -> None:
        """Put both files of `name` out of use."""
        durable.folder(self.retired.path)
        for suffix in (".pem", ".pub"):
            file = self.path / f"{name}{suffix}"
            if file.exists():
                file.rename(self.retired.path / file.name)
        durable.sync(self.path)

    @property
    def retired(self) -> KeyFolder:
        """The keys that are out of use."""
        return KeyFolder(self.path / "retired", self._passphrase)

    def locked(self, name: str) -> bool:
        """Whether the private key `name` is here and encrypted."""
        file = self.path / f"{name}.pem"
        return file.exists() and _encrypted(file)

    def _public_key(self, name: str) -> SSlibKey:
        return SSlibKey.from_crypto(load_pem_public_key((self.path / f"{name}.pub").read_bytes()))


def signer_of(file: Path, passphrase: Passphrase = no_passphrase) -> CryptoSigner:
    """A signer for a private key file, wherever it lies. Raises Rejected("key-locked"), Rejected("key-type")."""
    private = _opened(file, passphrase)
    try:
        return CryptoSigner(private, SSlibKey.from_crypto(private.public_key()))
    except (ValueError, UnsupportedAlgorithmError) as error:
        what = f"cannot sign with {file}: {error}"
        raise Rejected("key-type", what, "Use an Ed25519 or RSA key", who=Who.INTEGRATOR) from error


def _opened(file: Path, passphrase: Passphrase) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(file.read_bytes(), passphrase(file.stem) if _encrypted(file) else None)
    except ValueError as error:
        what = f"cannot open the key {file}: it is no private key (PEM), or the passphrase is wrong"
        raise Rejected(
            "key-locked", what, "Check both; OTAREPO_PASSPHRASE goes before what is typed", who=Who.INTEGRATOR
        ) from error


def _encrypted(file: Path) -> bool:
    return b"ENCRYPTED" in file.read_bytes()


def _generate(key_type: KeyType) -> PrivateKeyTypes:
    match key_type:
        case KeyType.ED25519:
            return Ed25519PrivateKey.generate()
        case KeyType.RSA:
            return generate_rsa(65537, 4096)
        case KeyType.EC:
            return generate_ec(SECP256R1())
