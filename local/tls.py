"""Treat every request as one over TLS.

The local AWS uses plain HTTP on loopback. With IAM enforcement, the module's bucket policy, which allows only TLS,
would deny every request, and other permissions could not be tested.
"""

from typing import Any


def install(app: Any) -> None:
    """Replace the function that notes a request's origin: `aws:SecureTransport` becomes true, the address stays."""
    pin = app.pin_request_origin

    def pin_as_tls(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, True)

    app.pin_request_origin = pin_as_tls
