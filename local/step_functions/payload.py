"""The JSON texts that states carry: how Step Functions writes them, and how large one may be."""

import json
from typing import Any

MAX_PAYLOAD_BYTES = 262_144


def dump(value: Any) -> str:
    """Write JSON as Step Functions does: compact, in UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
