"""Errors of AWS and of the network that may be gone at the next call."""

import ssl

import urllib3.exceptions
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError

NETWORK = (HTTPClientError, ConnectionError, IncompleteReadError, ssl.SSLError, urllib3.exceptions.SSLError)
"""The last two come as they are out of a body that is read: botocore gives its own names to other errors there."""

_CODES = frozenset(
    {"InternalServerException", "InternalServiceError", "ServiceUnavailableException", "ThrottlingException"}
)
"""Codes that have a class of their own in the model of a service that we call. botocore makes it, under this name."""


def is_transient(err: Exception) -> bool:
    """Tell whether to call again may help.

    A plain ClientError has a code that is not in its service's model, such as SlowDown of S3.
    """
    return isinstance(err, NETWORK) or type(err) is ClientError or type(err).__name__ in _CODES
