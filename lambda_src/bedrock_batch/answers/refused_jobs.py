"""Find why a job did nothing: a permission is missing, its records or its request are wrong, or neither.

A permission can be granted later, so the records wait for a redrive. Wrong records or a wrong request do not change:
they are sent in one more job, in case Bedrock was wrong, but not in a third one.
"""

import re

from bedrock_batch.contracts.lines import NOT_CREATED, JobEnd

MOST_JOBS = 2
"""If this number of jobs refused a record, it is not sent again."""

_REFUSED_CREATE = ("Bedrock.ValidationException:", "Bedrock.ResourceNotFoundException:")
"""Beginnings of a job's message if Bedrock refused its Create as invalid."""

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
"""Bedrock's messages if a role, bucket, key or model may not be used (examples: test_refused_jobs.py)."""

_BEDROCKS_OWN = re.compile(
    r"unexpected error|internal ?(?:server|service)? ?(?:error|exception|failure)|throttl"
    r"|temporarily unavailable|service ?(?:is )?unavailable",
    re.IGNORECASE,
)
"""Bedrock's messages if neither the records nor the request are wrong."""


def lacks_permission(end: JobEnd) -> bool:
    """Return whether a job of a round did not answer its records because a permission is missing."""
    return end.status in (NOT_CREATED, "Failed") and _PERMISSION.search(end.message) is not None


def is_refusal(end: JobEnd) -> bool:
    """Return whether a job did nothing because its records or its request are wrong.

    It is false if the job expired, was stopped, or processed a record or may have done so, and if Create met a full
    quota, throttling or an error of Bedrock itself.
    """
    if lacks_permission(end):
        return False
    if end.status == "Failed":
        return end.processed == 0 and not _BEDROCKS_OWN.search(end.message)
    return end.status == NOT_CREATED and end.message.startswith(_REFUSED_CREATE)
