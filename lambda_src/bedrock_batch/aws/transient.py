"""Errors of AWS and of the network after which the next call may succeed."""

import ssl

import urllib3.exceptions
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError

NETWORK = (HTTPClientError, ConnectionError, IncompleteReadError, ssl.SSLError, urllib3.exceptions.SSLError)
"""While a body is read, the last two are raised unchanged. botocore replaces other errors there by its own."""

_CODES = frozenset(
    {"InternalServerException", "InternalServiceError", "ServiceUnavailableException", "ThrottlingException"}
)
"""Codes that botocore raises as classes of these names, because the model of a service that we call has them."""


def is_transient(err: Exception) -> bool:
    """Return whether the next call may succeed.

    A plain ClientError has a code that is not in the service's model, such as SlowDown of S3.
    """
    return isinstance(err, NETWORK) or type(err) is ClientError or type(err).__name__ in _CODES
