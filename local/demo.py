"""`make demo`: run the whole product, with its module, state machines and Lambda zips, on a local AWS."""

import argparse
import json
import math
import os
import shutil
import signal
import sys
import time
from collections import Counter
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

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
    """Upload the sample, start a run, follow it, fetch and show its output."""
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=environment(engine.url)["AWS_REGION"]
    )
    engine.configure(seconds_per_status=0.7, records_per_second=250.0, answers=ANSWERS, faults=[FAULT])
    clients = {name: session.client(name, endpoint_url=engine.url) for name in ("s3", "stepfunctions", "bedrock")}
    bucket = outputs["runs_bucket_name"]
    root = outputs["output_uri"].removeprefix(f"s3://{bucket}/").removesuffix("/output/")
    sample = WORK / "reviews.csv"
    with screen.step(f"Upload a table of {rows:,} product reviews"):
        write_reviews(sample, rows=rows)
        clients["s3"].upload_file(str(sample), bucket, "datasets/reviews.csv")
    run_input = {
        "s3_uri": f"s3://{bucket}/datasets/reviews.csv",
        "model_id": MODEL,
        "prompt_id": "review",
        "job_name_prefix": RUN,
        "max_records_per_job": ROWS_PER_JOB,
        "inference": {"max_tokens": 100},
        "output": {"prefix": "ai_", "schema": SCHEMA},
        "price": PRICE,
    }
    command = [
        "aws stepfunctions start-execution \\",
        f"    --state-machine-arn {outputs['run_state_machine_arn']} \\",
        f"    --name {RUN} --input '{in_lines(run_input, screen.width - 8)}'",
    ]
    screen.line("\nStart a run, as you would on AWS:\n")
    screen.line(screen.style("    " + "\n".join(command).replace("\n", "\n    "), "dim") + "\n")
    started = time.monotonic()
    arn = clients["stepfunctions"].start_execution(
        stateMachineArn=outputs["run_state_machine_arn"], name=RUN, input=json.dumps(run_input)
    )["executionArn"]
    Run(screen, clients, bucket, root, arn, rows).follow()
    seconds = time.monotonic() - started
    report = fetch(clients["s3"], bucket, root)
    show_rows(screen, pq.read_table(WORK / root / "output" / RUN), healed=report["parts"][0]["rows"] - 1)
    show_end(screen, report, seconds, folder=os.path.relpath(WORK / root))


class Run:
    """Follows a run on the screen: the present state is one changing line, finished steps are lines that stay."""

    def __init__(self, screen: Screen, clients: dict[str, Any], bucket: str, root: str, arn: str, rows: int) -> None:
        self._screen = screen
        self._s3 = clients["s3"]
        self._bucket = bucket
        self._root = root
        self._states = clients["stepfunctions"]
        self._bedrock = clients["bedrock"]
        self._arn = arn
        self._rows = rows
        self._seen: set[str] = set()

    def follow(self) -> None:
        """Show the run until it ends. Ends the program if it fails."""
        with self._screen.step("Run") as step:
            while True:
                execution = self._states.describe_execution(executionArn=self._arn)
                jobs = self._jobs()
                self._print_news(jobs)
                step.detail = f"{self._state()}{progress_of(jobs, self._rows, self._parts())}"
                if execution["status"] != "RUNNING":
                    break
                time.sleep(0.3)
            step.detail = "done"
            if execution["status"] != "SUCCEEDED":
                raise SystemExit(
                    f"The run ended {execution['status']}: {execution.get('error')}: {execution.get('cause')}"
                )

    def _jobs(self) -> list[dict[str, Any]]:
        """Return the jobs of the run, in order."""
        found = self._bedrock.list_model_invocation_jobs(nameContains=RUN, maxResults=100)["invocationJobSummaries"]
        jobs = [self._bedrock.get_model_invocation_job(jobIdentifier=job["jobArn"]) for job in found]
        return sorted(jobs, key=lambda job: str(job["jobName"]))

    def _state(self) -> str:
        """Return the name of the state that the run entered last."""
        events = self._states.get_execution_history(executionArn=self._arn, reverseOrder=True, maxResults=20)["events"]
        entered = (event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event)
        return next(entered, "starting")

    def _parts(self) -> int:
        """Return how many parts the output has."""
        prefix = f"{self._root}/output/{RUN}/"
        return int(self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix)["KeyCount"])

    def _print_news(self, jobs: list[dict[str, Any]]) -> None:
        """Print what has happened since the last call."""
        first = [job for job in jobs if "r0-" in job["jobName"]]
        again = [job for job in jobs if job not in first]
        all_there = len(first) == math.ceil(self._rows / ROWS_PER_JOB)
        self._once("jobs", all_there, f"{len(first)} jobs of up to {ROWS_PER_JOB} records are with Bedrock")
        for number, job in enumerate(first, 1):
            done = f"{job['processedRecordCount']} of {job['totalRecordCount']} records"
            if job["status"] == "Failed":
                text = self._screen.style(f"job {number} FAILED after {done}: {job['message']}", "red")
                self._once(job["jobArn"], [job], text)
        ended = [job for job in first if job["status"] == "Completed"]
        self._once("most", all_there and ended and len(ended) == len(first) - 1, "all other jobs are Completed")
        self._once("again", again, "the records without an answer go into a second round: 1 more job")
        healed = [job for job in again if job["status"] == "Completed"]
        records = sum(job["processedRecordCount"] for job in healed)
        self._once(
            "healed", healed, self._screen.style(f"healed: it has answered the other {records} records", "green")
        )

    def _once(self, what: str, condition: Any, text: str) -> None:
        if condition and what not in self._seen:
            self._seen.add(what)
            self._screen.line(f"    {text}")


def progress_of(jobs: list[dict[str, Any]], rows: int, parts: int) -> str:
    """Return a line with the number of finished records, and the jobs by status, or later the parts of the output."""
    if not jobs:
        return ""
    done = sum(job.get("processedRecordCount", 0) for job in jobs)
    going = Counter(job["status"] for job in jobs if job["status"] not in ("Completed", "Failed"))
    waiting = ", ".join(f"{count} {status}" for status, count in sorted(going.items()))
    return f" · {done:,} of {rows:,} records · {waiting or f'{parts} parts joined'}"


def fetch(s3: Any, bucket: str, root: str) -> dict[str, Any]:
    """Fetch the files of the run and return its report."""
    for kind in ("output", "reports", "work"):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{root}/{kind}/{RUN}/"):
            for item in page["Contents"]:
                path = WORK / item["Key"]
                path.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, item["Key"], str(path))
    report: dict[str, Any] = json.loads((WORK / root / "reports" / RUN / "report.json").read_text("utf-8"))
    return report


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


def show_end(screen: Screen, report: dict[str, Any], seconds: float, *, folder: str) -> None:
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
    screen.line(f'Look next at {folder}, then at "Use it" in README.md.')


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
