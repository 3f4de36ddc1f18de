"""Send the head of an answer together with its body.

Hypercorn writes the head, and some 0.3 ms later the body. Terraform's AWS provider sometimes loses its connection in
between, about once in a thousand calls: "decomposing response: use of closed network connection". Then it repeats the
call, and a repeated create fails because the resource exists. AWS sends the answers to such calls in one write.
"""

from typing import Any

import h11
from hypercorn.events import RawData
from hypercorn.protocol.h11 import H11Protocol


def install() -> None:
    """Replace the function that writes HTTP/1.1: it holds a final answer's head until the next event."""

    async def send(self: Any, event: Any) -> None:
        try:
            data = self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        data = getattr(self, "_head", b"") + data
        if isinstance(event, h11.Response):
            self._head = data
            return
        self._head = b""
        await self.send(RawData(data=data))

    H11Protocol._send_h11_event = send
