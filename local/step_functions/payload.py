"""The JSON texts that states pass on: their form in Step Functions, and their largest size."""

import json
from typing import Any

MAX_PAYLOAD_BYTES = 262_144


def dump(value: Any) -> str:
    """Write JSON as Step Functions does: compact, in UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
