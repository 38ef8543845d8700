"""SWUpdate's words, as it wrote them, and what becomes of each."""

from __future__ import annotations

import pytest

from otad.errors import BootEnvironmentError, Corrupt, OtadError, Rejected, RetryLater, Who
from otad.payload import messages

TAIL = """[ERROR] : SWUPDATE failed [0] ERROR : Compatible SW not found
[ERROR] : SWUPDATE failed [1] Image invalid or corrupted. Not installing ...
[TRACE] : SWUPDATE running :  [network_initializer] : Main thread sleep again !
[ERROR] : SWUPDATE failed [0] ERROR : SWUpdate *failed* !
"""
STREAMING = "[ERROR] : SWUPDATE failed [0] ERROR : Error streaming rootfs.ext4\n" + TAIL


@pytest.mark.parametrize(
    ("said", "tail", "kind", "code"),
    [
        ("Authentication of all signatures failed", TAIL, Rejected, "bundle-signature"),
        ("Signature verification failed", TAIL, Rejected, "bundle-signature"),
        ("/t/sw-description.sig cannot be parsed as DER-encoded CMS signature blob", TAIL, Rejected, "bundle-signature"),
        ("common name of '/CN=swu' does not match expected 'bob'", TAIL, Rejected, "bundle-signer"),
        ("SW not compatible with hardware", TAIL, Rejected, "bundle-hardware"),
        ("HW compatibility not found", TAIL, Rejected, "bundle-hardware"),
        ("no parser available to parse sw-description!", TAIL, Rejected, "bundle-description"),
        ("Hash not set for rootfs.ext4 Type raw", TAIL, Rejected, "bundle-hash-missing"),
        ("No downgrading allowed: new version 1.1.0 <= installed 2.0", TAIL, Rejected, "bundle-older"),
        ("No reinstalling allowed: new version 1.1.0 == installed 1.1.0", TAIL, Rejected, "bundle-same"),
        ("HASH mismatch : 2ecb <--> 26c0", STREAMING, Corrupt, "bundle-hash"),
        ("CPIO Header corrupted, cannot be parsed", TAIL, Corrupt, "bundle-damaged"),
        ("cannot write 16384 bytes: No space left on device", STREAMING, RetryLater, "target-full"),
        ("Bootloader-specific error -22 updating its environment", TAIL, BootEnvironmentError, "bundle-environment"),
        ("Error loading certificate chain from /nope", "Error: Crypto cannot be initialized.", RetryLater, "swupdate-ca"),
        ("MTD is not present", STREAMING, RetryLater, "target-unwritable"),
        ("something new", TAIL, RetryLater, messages.UNKNOWN),
    ],
)
def test_every_failure_has_a_kind_a_code_and_a_next_step(said: str, tail: str, kind: type[OtadError], code: str) -> None:
    log = f"[INFO ] : SWUPDATE running :  [main] : hello\n[ERROR] : SWUPDATE failed [0] ERROR : {said}\n{tail}"
    error = messages.explain(log, 1, "system")
    assert type(error) is kind
    assert error.cause.code == code
    assert "cannot install system" in error.cause.what
    assert error.cause.remedy
    assert said in error.cause.evidence["swupdate"]
    assert error.cause.evidence["status"] == "1"


def test_unknown_words_are_told_as_they_are() -> None:
    error = messages.explain("[ERROR] : SWUPDATE failed [0] ERROR : the moon is full\n", 1, "system")
    assert "the moon is full" in error.cause.what


def test_silence_is_told_too() -> None:
    assert "it said nothing" in messages.explain("", 1, "system").cause.what


@pytest.mark.parametrize(("status", "name"), [(-9, "SIGKILL"), (-250, "signal 250")])
def test_a_killed_swupdate_names_the_signal(status: int, name: str) -> None:
    error = messages.explain("HASH mismatch", status, "system")
    assert isinstance(error, RetryLater)
    assert error.cause.code == "swupdate-killed"
    assert error.cause.who is Who.NOBODY
    assert name in error.cause.what


def test_evidence_is_bounded() -> None:
    log = "[ERROR] : SWUPDATE failed [0] ERROR : no\n" * 10_000
    assert len(messages.explain(log, 1, "system").cause.evidence["swupdate"]) <= 4096
