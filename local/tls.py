"""Counts every request as one over TLS.

The local AWS speaks plain HTTP on loopback. With IAM enforcement on, the module's TLS-only bucket policy would rightly
deny all of it, and hide what the enforcement is there to show.
"""

from typing import Any


def install(app: Any) -> None:
    """Replace what notes a request's origin: its address stays, `aws:SecureTransport` becomes true."""
    pin = app.pin_request_origin

    def pin_as_tls(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, True)

    app.pin_request_origin = pin_as_tls
