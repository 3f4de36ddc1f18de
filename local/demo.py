"""`make demo`: run the whole product, with its module, state machines and Lambda zips, on a local AWS."""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from bedrock_batch_client import Batch, BatchError, Run, uploads
from bedrock_batch_client.api import good
from bedrock_batch_client.cli.follow import follow
from local.process import Engine, environment, start_engine
from local.provision import ENGINE_PYTHON, LOCAL_ROOT, ROOT, Deployment
from local.sample import write_reviews
from local.screen import Screen, table

WORK = ROOT / "build" / "local" / "demo"
RUN = "demo"
ROWS = 2_500
ROWS_PER_JOB = 500
MODEL = "amazon.nova-lite-v1:0"
PRICE = {"input": 0.03, "output": 0.12}
ON_DEMAND_PRICE = {"input": 0.06, "output": 0.24}
"""USD per million tokens of Amazon Nova Lite in November 2026; yours are on the AWS price list."""

PROMPT = "What does this customer say about the {product}?\n\n{review}"
SCHEMA = {
    "type": "object",
    "properties": {
        "sentiment": {"enum": ["positive", "mixed", "negative"]},
        "topic": {"type": "string"},
        "urgency": {"type": "integer"},
    },
    "required": ["sentiment", "topic", "urgency"],
}
_SAID = {  # A text in a review, and the stand-in model's answer to it.
    "I would buy it again": ("positive", "quality", 0),
    "it works, mostly": ("positive", "quality", 1),
    "after two weeks it broke": ("mixed", "durability", 2),
    "the manual is in": ("negative", "manual", 2),
    "it was thrown": ("negative", "delivery", 3),
    "burnt": ("negative", "smell", 4),
}
ANSWERS = [
    {"prompt_contains": words, "text": json.dumps(dict(zip(SCHEMA["properties"], answer, strict=True)))}
    for words, answer in _SAID.items()
]
FAULT = {"job_name_contains": "r0-00000", "times": 1, "partial": 0.6, "fail_job": "Internal error, please try again."}


def main() -> None:
    """Run the demo; Ctrl-C ends it and leaves nothing running."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the sample table")
    rows = parser.parse_args().rows
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        demo(Screen(), rows)
    except KeyboardInterrupt:
        sys.exit("\nStopped. The local AWS and everything in it is gone.")
    except RuntimeError as error:
        sys.exit(f"\n{error}")


def demo(screen: Screen, rows: int) -> None:
    screen.line()
    with screen.step("Start a local AWS on this machine: no account, no cost"):
        engine = start_engine(python=ENGINE_PYTHON, log=WORK / "engine.log")
    with engine:
        engine.wait_scale(0.2)  # the pauses between two tries of a call
        deployment = Deployment(
            root=LOCAL_ROOT,
            work=WORK / "terraform",
            url=engine.url,
            variables={
                "name": "demo",
                "models": [MODEL],
                "prompts": {"review": PROMPT},
                "functions": {"reserved_concurrency": {"plan_run": 2, "prepare_shard": 2, "join_shard": 2}},
            },
        )
        with screen.step("Apply the Terraform module to it") as step:

            def progress(made: int, planned: int) -> None:
                step.detail = f"{made} of {planned} resources" if planned else "Terraform reads it and plans"

            outputs = deployment.apply(progress)
        run_sample(screen, engine, outputs, rows)


def run_sample(screen: Screen, engine: Engine, outputs: dict[str, Any], rows: int) -> None:
    """Upload the sample, start a run, watch it, fetch and show what came out: with the client, as on AWS."""
    engine.configure(seconds_per_status=0.7, records_per_second=250.0, answers=ANSWERS, faults=[FAULT])
    name = outputs["inventory_table_name"].removesuffix("-inventory")
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=environment(engine.url)["AWS_REGION"]
    )
    client = Batch(name, session=session, endpoint_url=engine.url)
    sample = WORK / "reviews.csv"
    write_reviews(sample, rows=rows)
    document = {
        "model_id": MODEL,
        "prompt_id": "review",
        "job_name_prefix": RUN,
        "max_records_per_job": ROWS_PER_JOB,
        "inference": {"max_tokens": 100},
        "output": {"prefix": "ai_", "schema": SCHEMA},
        "price": PRICE,
    }
    screen.line(f"\nStart a run over {rows:,} product reviews, as you would on AWS. sentiment.json holds\n")
    screen.line(screen.style(in_lines(document, screen.width - 8, indent="    "), "dim") + "\n")
    command = f"bedrock-batch run sentiment.json --name {name} --table reviews.csv --run-name {RUN} --wait"
    screen.line(f"    {screen.style(command, 'bold')}\n")
    started = time.monotonic()
    run = client.start(document | {"s3_uri": uploads.place(client.installation, sample)}, name=RUN)
    try:
        good(follow(run, every=0.5))
        table = pq.read_table(run.fetch(WORK / "reviews-with-answers.parquet")[0].path)
    except BatchError as error:
        raise SystemExit(str(error)) from error
    seconds = time.monotonic() - started
    report = run.report()
    show_rows(screen, table, healed=report["parts"][0]["rows"] - 1)
    show_end(screen, report, seconds, page=os.path.relpath(fetch_report(run)))


def fetch_report(run: Run) -> Path:
    """Fetch the report of the run for people to look at, and return where it is: the page, where there is one."""
    there = run.batch.installation
    found = there.aws.s3.list_objects_v2(Bucket=there.bucket, Prefix=there.report_key(RUN, ""))["Contents"]
    for key in (one["Key"] for one in found):
        there.aws.s3.download_file(there.bucket, key, str(WORK / key.rpartition("/")[2]))
    pages = [WORK / name for name in ("report.html", "report.json")]
    return next(page for page in pages if page.exists())


def show_rows(screen: Screen, rows: pa.Table, *, healed: int) -> None:
    """Print the first rows, and one row that the failed job did not answer."""
    names = ["review_id", "product", "review", "ai_outcome", *(f"ai_{name}" for name in SCHEMA["properties"])]
    if screen.width < 110:
        names = [name for name in names if name not in ("product", "ai_outcome")]
    shown = rows.select(names).take([*range(min(5, healed)), healed]).to_pylist()
    heads = [names, [str(rows.schema.field(name).type) for name in names]]
    cells = [["" if row[name] is None else str(row[name]) for name in names] for row in shown]
    lines = table(heads, cells, width=screen.width - 4, wide=names.index("review"))
    screen.line(f"\nThe same table with the answers: {rows.num_rows:,} rows in their order.")
    screen.line("A stand-in for Bedrock made up the answers. Everything else is the product itself.")
    screen.line("The first five rows, and one that the failed job did not answer:\n")
    for number, line in enumerate(lines):
        style = {0: ("bold",), 1: ("dim",), 2: ("dim",), len(lines) - 1: ("green",)}.get(number, ())
        screen.line(f"    {screen.style(line, *style) if style else line}")
    screen.line()


def show_end(screen: Screen, report: dict[str, Any], seconds: float, *, page: str) -> None:
    """Print in three lines what happened, what it would have cost, and what to look at next."""
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in report["outcomes"].items() if count)
    jobs = f"{sum(report['jobs'].values())} jobs"
    if failed := report["jobs"].get("Failed"):
        jobs += f", {failed} failed" + ("" if report["outcomes"]["missing"] else " and healed")
    read, written = report["input_tokens"], report["output_tokens"]
    on_demand = (read * ON_DEMAND_PRICE["input"] + written * ON_DEMAND_PRICE["output"]) / 1e6
    screen.line(screen.style(f"{report['rows']:,} rows: {outcomes} · {jobs} · {seconds:.0f} s", "bold"))
    screen.line(
        f"Would cost ${report['cost_usd']:.4f} (on demand ${on_demand:.4f}): {read:,} tokens read, {written:,} written."
    )
    screen.line(f'Look next at "Use it" in README.md, and at the report: {page}')


def in_lines(value: Any, width: int, indent: str = "", key: str = "") -> str:
    """Return JSON with one line for each member of the outermost object. Other values are on one line if they fit."""
    start = f'{indent}"{key}": ' if key else ""
    line = start + json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict) or (key and len(line) < width):
        return line
    members = ",\n".join(in_lines(item, width, indent + "  ", name) for name, item in value.items())
    return f"{start}{{\n{members}\n{indent}}}"


if __name__ == "__main__":
    main()
