"""Why a job did nothing: a permission is missing, its records or its request are at fault, or neither.

A permission can be granted later, so the records wait for a redrive. Records and request stay as they are: they are
sent to one more job, as Bedrock may have been wrong, and to no third one.
"""

import re

from bedrock_batch.contracts.lines import NOT_CREATED, JobEnd

MOST_JOBS = 2
"""A record that this number of jobs refused is not sent again."""

_REFUSED_CREATE = ("Bedrock.ValidationException:", "Bedrock.ResourceNotFoundException:")
"""How the message of a job begins whose Create was refused as invalid."""

_PERMISSION = re.compile(
    r"access ?denied|access is denied|denied access|forbidden|unauthorized"
    r"|not authorized"
    r"|(?:not|n't) allowed to"
    r"|(?:not|n't) have (?:\w+ ){0,3}(?:permissions?|access)\b"
    r"|(?:no|lacks?|lacking|missing|insufficient|without) (?:\w+ ){0,2}permissions?\b|perms missing"
    r"|could not validate \w+ permissions?"
    r"|\blacks \w+:\w+"
    r"|(?:could not|cannot|can't|unable to|failed to) assume"
    r"|\bmay not (?:be )?(?:use|read|write|list|assume|access|invoke)"
    r"|\brole\b.{0,300}\bdoes not (?:exist|trust)"
    r"|\bkey/\S+ is (?:disabled|pending deletion)"
    r"|use case details have not been submitted",
    re.IGNORECASE,
)
"""What Bedrock says where a role, bucket, key or model may not be used (examples: test_refused_jobs.py)."""

_BEDROCKS_OWN = re.compile(
    r"unexpected error|internal ?(?:server|service)? ?(?:error|exception|failure)|throttl"
    r"|temporarily unavailable|service ?(?:is )?unavailable",
    re.IGNORECASE,
)
"""What Bedrock says where neither the records nor the request are at fault."""


def lacks_permission(end: JobEnd) -> bool:
    """Tell whether a job of a round has not answered its records because something may not be used."""
    return end.status in (NOT_CREATED, "Failed") and _PERMISSION.search(end.message) is not None


def is_refusal(end: JobEnd) -> bool:
    """Tell whether a job did nothing because its records or its request are at fault.

    That is not so for a job that expired, was stopped, or processed a record, or where nobody knows whether it did;
    nor where Create met a full quota, throttling or an error on Bedrock's side.
    """
    if lacks_permission(end):
        return False
    if end.status == "Failed":
        return end.processed == 0 and not _BEDROCKS_OWN.search(end.message)
    return end.status == NOT_CREATED and end.message.startswith(_REFUSED_CREATE)
