"""The rules of the page, for a phone and a desk, for light and dark, and for paper: `style.css`."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

RULES = files("bedrock_batch").joinpath("page/style.css").read_text("utf-8")

POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(RULES.encode()).digest()).decode()}'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""The page's Content-Security-Policy: it allows these rules and nothing else."""
