"""The data of the bench: a table of texts, and the answers that Bedrock would have written, in a folder.

Everything is made from one seed. Texts have 500 to 700 characters with quotes, line breaks, tabs, backslashes,
accents and emoji; answers are shuffled within their file and echo their input, as Bedrock's do.
"""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bedrock_batch import keys
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import JobEnd, PlannedShard
from bedrock_batch.contracts.settings import Settings
from bedrock_batch.contracts.state import RunState
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.plan.plan_run import plan_run
from bedrock_batch.records.prepare_shard import prepare_shard
from bench.local_s3 import LocalClient, NoQuotas

BUCKET = "bench-bucket"
SHARD_ROWS = 100_000
CHECK_ROWS = 500
"""Rows for comparing and warming up all candidates."""

DIMENSIONS = 1024
BEFORE, AFTER = 'Judge this review of "', '".\nAnswer with {"sentiment": "positive" | "negative"} and a reason.'
MAX_TOKENS = 300
SETTINGS = Settings(
    contract=CONTRACT,
    name="bench",
    root="reviews",
    models=["amazon.nova-lite-v1:0", "amazon.titan-embed-text-v2:0"],
    prompts={"judge": BEFORE + "{product}" + '": {text}' + AFTER.replace("{", "{{").replace("}", "}}")},
    service_role_arn="arn:aws:iam::123456789012:role/bench",
    work_days=90,
)
TEXT_RUN, VECTOR_RUN, SINGLE_RUN, STRUCTURED_RUN = RUNS = "text", "vectors", "vectors-once", "structured"
"""VECTOR_RUN has every vector twice, like answers of Titan V2; SINGLE_RUN has it once. Answers of STRUCTURED_RUN
follow `SCHEMA`."""
TABLE_RUNS = (TEXT_RUN, STRUCTURED_RUN)
"""Runs over the whole table. The others use its first rows."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sentiment": {"enum": ["positive", "negative", "mixed"]},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "ticket": {"type": "string", "pattern": "^[A-Z]{2,4}-[0-9]{4,}$"},
        "screen": {"$ref": "#/$defs/part"},
        "battery": {"$ref": "#/$defs/part"},
    },
    "required": ["sentiment", "score", "ticket", "screen", "battery"],
    "additionalProperties": False,
    "$defs": {
        "part": {
            "type": "object",
            "properties": {
                "stars": {"type": "integer", "minimum": 1, "maximum": 5},
                "words": {"type": "array", "items": {"$ref": "#/$defs/word"}, "minItems": 1, "maxItems": 5},
                "why": {"type": "string", "minLength": 1, "maxLength": 500},
            },
            "required": ["stars", "words", "why"],
            "additionalProperties": False,
        },
        "word": {"type": "string", "pattern": "^[^ ]+$", "maxLength": 40},
    },
}

_TEXT = (
    'the screen is bright and "sharp" said my sister, who\'s hard to please \\o/ but battery life was '
    "poor:\tgone by noon naïve façade Übergröße 東京 で買った 👍🏽 price/value fine — I'd buy it again\nor not "
)
_WORDS = _TEXT.split(" ")
_PAGE = 50_000


class Workload:
    """The data of one size: `rows` is the number of the table's rows, `vector_rows` that of the embedding runs."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows = folder, rows
        self.vector_rows = min(50_000, max(100, rows // 4))
        self.client = LocalClient(folder / "s3")
        self.s3 = S3(self.client)

    def out(self, name: str) -> Path:
        path = self.folder / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def path(self, key: str) -> Path:
        return self.client.path(BUCKET, key)

    def table(self, run_id: str) -> Path:
        return self.path("in/table.parquet" if run_id in TABLE_RUNS else "in/head.parquet")

    def rows_of(self, run_id: str) -> int:
        return self.rows if run_id in TABLE_RUNS else self.vector_rows

    def shard_rows(self, run_id: str) -> int:
        """Return the rows of a shard. All shards have the same number, so that SQL can compute record ids too."""
        rows = self.rows_of(run_id)
        return rows // -(-rows // SHARD_ROWS)

    def shards(self, run_id: str) -> list[PlannedShard]:
        return [PlannedShard.from_json(line) for line in self.s3.lines(BUCKET, keys.RunKeys("reviews", run_id).plan)]

    def raw(self, run_id: str) -> list[Path]:
        return sorted(self.path(f"reviews/work/{run_id}/raw").rglob("*.jsonl.out"))

    def job(self, run_id: str, shard: int) -> JobEnd:
        name = f"bench-{run_id}-{shard:05d}"
        return JobEnd(job_name=name, status="Completed", raw_prefix=keys.RunKeys("reviews", run_id).raw(name))


def make(folder: Path, rows: int, runs: Sequence[str] = RUNS) -> Workload:
    """Make the data of `rows` rows for these runs, unless it exists."""
    count = -(-rows // SHARD_ROWS)
    if rows < 100 or rows % count:
        raise SystemExit(f"--rows {rows}: must be at least 100, and above {SHARD_ROWS} a multiple of {SHARD_ROWS}")
    work = Workload(folder / str(rows), rows)
    if not work.path("in").exists():
        _write_table(work)
    for run_id in runs:
        done = work.folder / f"{run_id}.done"
        if done.exists():
            continue
        plan(work, run_id)
        for shard in work.shards(run_id):
            prepare_shard(work.s3, shard)
            _answer(work, run_id, shard.shard)
        done.touch()
    return work


def plan(work: Workload, run_id: str) -> None:
    """Plan a run over the table, as Plan run does."""
    text: dict[str, Any] = {
        "model_id": "amazon.nova-lite-v1:0",
        "prompt_id": "judge",
        "inference": {"max_tokens": MAX_TOKENS},
    }
    vectors = {"model_id": "amazon.titan-embed-text-v2:0", "prompt": {"text": "{text}"}}
    asked = text if run_id in TABLE_RUNS else vectors
    if run_id == STRUCTURED_RUN:
        asked = asked | {"output": {"schema": SCHEMA}}
    key = work.table(run_id).relative_to(work.path("")).as_posix()
    state = RunState(
        contract=CONTRACT,
        bucket=BUCKET,
        root="reviews",
        run_id=run_id,
        execution_arn=f"arn:aws:states:us-east-1:123456789012:execution:bench-run:{run_id}",
        started_at="2100-01-01T00:00:00.000Z",  # So no run of the bench expires.
    )
    plan_run(work.s3, NoQuotas(), state, settings=SETTINGS, input={"s3_uri": f"s3://{BUCKET}/{key}", **asked})


def _write_table(work: Workload) -> None:
    path = work.path("in/table.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = next(_tables(1)).schema
    left = work.vector_rows
    with (
        pq.ParquetWriter(path, schema, compression="zstd") as parquet,
        pq.ParquetWriter(work.path("in/head.parquet"), schema, compression="zstd") as head,
        pa.csv.CSVWriter(work.path("in/table.csv"), schema) as csv,
    ):
        for table in _tables(work.rows):
            parquet.write_table(table)
            csv.write_table(table)
            if left:
                head.write_table(table.slice(0, left))
                left -= min(left, table.num_rows)


def _tables(rows: int) -> Iterator[pa.Table]:
    chance = random.Random(7)
    pieces = [" ".join(chance.choices(_WORDS, k=20)) for _ in range(2_000)]
    for start in range(0, rows, _PAGE):
        numbers = range(start, min(start + _PAGE, rows))
        sizes = chance.choices(range(500, 701), k=len(numbers))
        texts = ["\n".join(chance.choices(pieces, k=8))[:size] for size in sizes]
        yield pa.table(
            {
                "id": [f"R{number:09d}" for number in numbers],
                "product": chance.choices(['Lamp "Aura"', "Kettle", "Sèche-cheveux", "Desk, oak"], k=len(numbers)),
                "language": chance.choices(["en", "fr", "ja"], k=len(numbers)),
                "title": chance.choices(pieces[:500], k=len(numbers)),
                "text": texts,
            }
        )


def _answer(work: Workload, run_id: str, shard: int) -> None:
    lines = work.path(keys.RunKeys("reviews", run_id).input(shard)).read_bytes().splitlines()
    chance = random.Random(shard)
    chance.shuffle(lines)
    bodies = _bodies(run_id, chance)
    key = f"{work.job(run_id, shard).raw_prefix}abc123def456/{shard:05d}.jsonl.out"
    work.path(key).parent.mkdir(parents=True, exist_ok=True)
    with work.path(key).open("wb") as out:
        for line, body in zip(lines, bodies, strict=False):
            # {"recordId":"00042000017","modelInput":{…}} becomes {"modelInput":{…},"modelOutput":{…},"recordId":…}
            out.write(b'{%s,"modelOutput":%s,"recordId":%s}\n' % (line[26:-1], body, line[12:25]))


def _bodies(run_id: str, chance: random.Random) -> Iterator[bytes]:
    if run_id == TEXT_RUN:
        return _texts(chance)
    return _objects(chance) if run_id == STRUCTURED_RUN else cycle(_vectors(twice=run_id == VECTOR_RUN))


def _texts(chance: random.Random) -> Iterator[bytes]:
    """Yield answers without end. No two are equal, because Parquet would store equal ones in a dictionary."""
    words = [_json(" ".join(chance.choices(_WORDS, k=16)))[1:-1] for _ in range(1_000)]
    whole, cut = _body("end_turn", "%s %s %s"), _body("max_tokens", "%s %s %s")
    while True:
        yield (whole if chance.random() < 0.95 else cut) % tuple(chance.choices(words, k=3))


def _objects(chance: random.Random) -> Iterator[bytes]:
    """Yield answers that follow the schema, without end: some in a fence, some with a ticket that does not match."""
    words = [" ".join(chance.choices(_WORDS, k=12)) for _ in range(1_000)]
    while True:
        answer = {
            "sentiment": chance.choice(["positive", "negative", "mixed"]),
            "score": chance.randrange(1000) / 1000,
            "ticket": f"{'AB' if chance.random() < 0.97 else 'ab'}-{chance.randrange(1000, 100_000)}",
        }
        for part in ("screen", "battery"):
            said = chance.choices(words, k=2)
            answer[part] = {"stars": chance.randrange(1, 6), "words": said[0].split()[:3], "why": said[1]}
        text = json.dumps(answer, ensure_ascii=False)
        yield _body("end_turn", text if chance.random() < 0.9 else f"```json\n{text}\n```")


def _body(stop_reason: str, text: str) -> bytes:
    return _json(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
            "stopReason": stop_reason,
            "usage": {"inputTokens": 170, "outputTokens": 60, "totalTokens": 230},
            "metrics": {"latencyMs": 812},
        }
    )


def _vectors(*, twice: bool) -> list[bytes]:
    chance = np.random.default_rng(7)
    bodies = []
    for number in range(199):
        # As many digits as a 32-bit float needs, which is what the model writes.
        vector = [float(str(value)) for value in chance.normal(0, 0.03, DIMENSIONS).astype(np.float32)]
        by_type = {"embeddingsByType": {"float": vector}} if twice else {}
        bodies.append(_json({"embedding": vector, **by_type, "inputTextTokenCount": 100 + number}))
    return bodies


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
