"""What SWUpdate's words mean. Pure: the last lines it wrote and its exit status in, an error with its cause out.

Rules:
 1. SWUpdate tells everything by exit status 1 and a log; the first row of `MEANINGS` whose words stand in the log counts.
 2. The rows go from the particular to the general: SWUpdate adds "Error streaming" or "Image invalid" to nearly every failure.
 3. Words that are not known here are still told, as the log's last error: nothing is swallowed.

The words are those of SWUpdate 2022.12; each row was seen (`tests/payload/test_messages.py`, `tests/payload/test_swupdate.py`).
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from otad.errors import BootEnvironmentError, Corrupt, OtadError, Rejected, RetryLater, Who

Kind = type[Rejected] | type[RetryLater] | type[Corrupt] | type[BootEnvironmentError]
UNKNOWN = "swupdate-failed"
EVIDENCE = 4096  # characters, as errors.Cause allows
REBUILD = "Build the bundle again with `otarepo image` and publish it in a new release"


@dataclass(frozen=True)
class Meaning:
    """A failure that SWUpdate reports with `words`."""

    words: str
    kind: Kind
    code: str
    why: str
    remedy: str
    who: Who


def _rejected(words: str, code: str, why: str, remedy: str = REBUILD) -> Meaning:
    return Meaning(words, Rejected, code, why, remedy, Who.INTEGRATOR)


NOT_TRUSTED = "its signer is not one that this device trusts, or its certificate is not valid at this device's date"
SIGN = "Sign it with a certificate that this device's [swupdate].ca vouches for"
MEANINGS = (
    Meaning(
        "Error loading certificate chain",
        RetryLater,
        "swupdate-ca",
        "the certificate that bundles are checked with cannot be read",
        "Put a PEM certificate where [swupdate].ca says",
        Who.OS_BUILDER,
    ),
    _rejected("does not match expected", "bundle-signer", "it is signed by another name than [swupdate].signer", SIGN),
    _rejected("Authentication of all signatures failed", "bundle-signature", NOT_TRUSTED, SIGN),
    _rejected("Signature verification failed", "bundle-signature", "its sw-description was changed after it was signed", SIGN),
    _rejected("cannot be parsed as DER-encoded CMS", "bundle-signature", "it has no CMS signature", SIGN),
    _rejected("SW not compatible with hardware", "bundle-hardware", "it is made for another hardware revision"),
    _rejected("HW compatibility not found", "bundle-hardware", "it is made for another board"),
    _rejected("Hash not set", "bundle-hash-missing", "an image in it has no sha256"),
    _rejected("No downgrading allowed", "bundle-older", "this device's swupdate.cfg refuses a lower version"),
    _rejected("No reinstalling allowed", "bundle-same", "this device's swupdate.cfg refuses the version that it has"),
    _rejected("no parser available", "bundle-description", "SWUpdate cannot use its sw-description for this board and slot"),
    Meaning(
        "No space left on device",
        RetryLater,
        "target-full",
        "the slot, or the folder for temporary files, has no room left",
        "Compare the slot's size (`otactl slots`) with the image's, and free space in [paths].run",
        Who.FIELD,
    ),
    Meaning(
        "HASH mismatch",
        Corrupt,
        "bundle-hash",
        "an image in it is not the one that its sw-description promises",
        REBUILD,
        Who.INTEGRATOR,
    ),
    Meaning(
        "CPIO H",
        Corrupt,
        "bundle-damaged",
        "its bytes are not a whole cpio archive",
        "It is fetched again; if that does not help, publish it again",
        Who.NOBODY,
    ),
    Meaning(
        "updating its environment",
        BootEnvironmentError,
        "bundle-environment",
        "it sets boot variables, and they could not be written",
        "Correct /etc/fw_env.config, or build the bundle without a bootenv section",
        Who.OS_BUILDER,
    ),
    Meaning(
        "Error streaming",
        RetryLater,
        "target-unwritable",
        "the slot could not be opened or written",
        "Look for I/O errors of its device in the kernel's log (`journalctl -k`)",
        Who.FIELD,
    ),
)


def explain(log: str, status: int, bundle: str) -> OtadError:
    """The error for an SWUpdate that ended with `status` (not 0; negative: the signal that killed it) after writing `log`.

    `bundle` names what was installed, for people. Returns the kind that a state can act on.
    """
    errors = _errors(log)
    evidence = {"status": str(status), "swupdate": "\n".join(errors or log.splitlines())[-EVIDENCE:]}
    if status < 0:
        return RetryLater(
            "swupdate-killed",
            f"cannot install {bundle}: SWUpdate was killed by {_name(-status)}",
            "It is tried again; if it is killed again, look for lack of memory in `journalctl -k`",
            evidence=evidence,
        )
    for row in MEANINGS:
        if row.words in log:
            what = f"cannot install {bundle}: {row.why}"
            return row.kind(row.code, what, row.remedy, who=row.who, evidence=evidence)
    said = errors[-1] if errors else "it said nothing"
    return RetryLater(
        UNKNOWN,
        f"cannot install {bundle}: SWUpdate exited {status}: {said}",
        "Read its log in `otactl history`, and try the bundle by hand with `swupdate -c`",
        who=Who.FIELD,
        evidence=evidence,
    )


def _errors(log: str) -> list[str]:
    """The log's error lines without their prefix: `[ERROR] : SWUPDATE failed [0] ERROR : HASH mismatch : ...`."""
    lines = (line for line in log.splitlines() if line.startswith("[ERROR]"))
    return [line.split("] ", 2)[-1].removeprefix("ERROR : ") for line in lines]


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
