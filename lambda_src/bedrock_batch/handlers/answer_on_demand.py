"""Answer on demand: send a chunk of records to the model one by one, and write the answers as a batch would."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Chunk
from bedrock_batch.errors import after_spend
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.run.answer_on_demand import answer_on_demand


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the chunk's counts; the event is a line of `answers-*.jsonl`."""
    chunk = Chunk.from_json(event)
    with after_spend(
        f"The chunk's answers so far are kept in s3://{chunk.bucket}/{chunk.raw_key}. Its other records stay "
        "without an answer. Start a new run over their rows: it pays only for these."
    ):
        time_left = getattr(context, "get_remaining_time_in_millis", None)
        seconds = time_left() / 1000 if time_left else 0
        runtime = clients.client("bedrock-runtime")
        return answer_on_demand(S3(clients.s3()), runtime, chunk, seconds=seconds).to_json()
