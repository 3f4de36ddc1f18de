"""`make demo`: the whole product on this machine. The real module, state machines and Lambda zips, on a local AWS."""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pyarrow.parquet as pq

from local.process import Engine, environment, start_engine
from local.provision import ENGINE_PYTHON, LOCAL_ROOT, ROOT, Deployment
from local.sample import write_reviews

WORK = ROOT / "build" / "local" / "demo"
NAME = "demo"
ROWS = 2_500
ROWS_PER_JOB = 500
MODEL = "amazon.nova-lite-v1:0"
PRICE = {"input": 0.03, "output": 0.12}
PROMPT = 'Is this review of a {product} positive or negative? Answer as {{"sentiment": "…"}}.\n\n{review}'


def main() -> None:
    """Run the demo; Ctrl-C ends it and leaves nothing running."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the sample table")
    rows = parser.parse_args().rows
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        demo(rows)
    except KeyboardInterrupt:
        sys.exit("\nStopped. The local AWS and everything in it is gone.")


def demo(rows: int) -> None:
    with step("Start a local AWS on this machine (no account, no cost)"):
        engine = start_engine(python=ENGINE_PYTHON, log=WORK / "engine.log")
    with engine:
        engine.configure(seconds_per_status=1.0, records_per_second=250.0)
        deployment = Deployment(
            root=LOCAL_ROOT,
            work=WORK / "terraform",
            url=engine.url,
            variables={
                "name": NAME,
                "models": [MODEL],
                "prompts": {"sentiment": PROMPT},
                "functions": {"reserved_concurrency": {"plan_run": 2, "prepare_shard": 2, "join_shard": 2}},
            },
        )
        with step("Apply the Terraform module to it (takes a minute)"):
            outputs = deployment.apply()
        run_sample(engine, outputs, rows)
        with step("Destroy what Terraform made"):
            deployment.destroy()
    print(f"\nThe files of this run are in {os.path.relpath(WORK)}/runs/: the table in output/, beside it the report.")


def run_sample(engine: Engine, outputs: dict[str, Any], rows: int) -> None:
    """Upload the sample, start a run, follow it, fetch and show what came out."""
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=environment(engine.url)["AWS_REGION"]
    )
    clients = {name: session.client(name, endpoint_url=engine.url) for name in ("s3", "stepfunctions", "bedrock")}
    bucket = outputs["runs_bucket_name"]
    sample = WORK / "reviews.csv"
    with step(f"Upload a sample table of {rows:,} product reviews"):
        write_reviews(sample, rows=rows)
        clients["s3"].upload_file(str(sample), bucket, "datasets/reviews.csv")
    run_input = {
        "s3_uri": f"s3://{bucket}/datasets/reviews.csv",
        "model_id": MODEL,
        "prompt_id": "sentiment",
        "job_name_prefix": "first-look",
        "max_records_per_job": ROWS_PER_JOB,
        "inference": {"max_tokens": 100},
        "price": PRICE,
    }
    print("\n▸ Start a run, as you would on AWS:\n")
    print(f"    aws stepfunctions start-execution --state-machine-arn {outputs['run_state_machine_arn']} \\")
    print(f"        --name demo-1 --input '{json.dumps(run_input, indent=2)}'".replace("\n", "\n    "), end="\n\n")
    arn = clients["stepfunctions"].start_execution(
        stateMachineArn=outputs["run_state_machine_arn"], name="demo-1", input=json.dumps(run_input)
    )["executionArn"]
    result = follow(clients, arn, records=rows)
    show(clients["s3"], result, bucket)


def follow(clients: dict[str, Any], arn: str, *, records: int) -> dict[str, Any]:
    """Print where the run is, whenever that changes, until it ends; return its result."""
    last = ""
    started = time.monotonic()
    while True:
        execution = clients["stepfunctions"].describe_execution(executionArn=arn)
        line = f"{current_state(clients['stepfunctions'], arn):<18} {jobs(clients['bedrock'], records)}"
        if line != last:
            print(f"    {time.monotonic() - started:5.1f} s  {line.rstrip()}", flush=True)
            last = line
        if execution["status"] != "RUNNING":
            break
        time.sleep(0.5)
    if execution["status"] != "SUCCEEDED":
        raise SystemExit(f"The run ended {execution['status']}: {execution.get('error')}: {execution.get('cause')}")
    output: dict[str, Any] = json.loads(execution["output"])
    return output


def current_state(stepfunctions: Any, arn: str) -> str:
    """Return the name of the state that the run entered last."""
    events = stepfunctions.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=20)["events"]
    entered = (event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event)
    return next(entered, "starting")


def jobs(bedrock: Any, records: int) -> str:
    """Say how many Bedrock jobs have which status, and how many records they have done."""
    found = bedrock.list_model_invocation_jobs(nameContains=f"{NAME}-", maxResults=100)["invocationJobSummaries"]
    if not found:
        return ""
    details = [bedrock.get_model_invocation_job(jobIdentifier=job["jobArn"]) for job in found]
    statuses = Counter(job["status"] for job in details)
    done = sum(job.get("processedRecordCount", 0) for job in details)
    listed = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    return f"jobs: {listed:<30} records done: {done:,} of {records:,}"


def show(s3: Any, result: dict[str, Any], bucket: str) -> None:
    """Fetch the run's files and print the first rows and the report."""
    prefix = f"runs/{result['run_id']}/"
    with step("Fetch the joined table and the report"):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page["Contents"]:
                path = WORK / item["Key"]
                path.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, item["Key"], str(path))
    table = pq.read_table(WORK / prefix / "output")
    print(f"\n▸ The joined table: {table.num_rows:,} rows, {table.num_columns} columns. Its first rows:\n")
    for row in table.slice(0, 3).to_pylist():
        for name, value in row.items():
            print(f"    {name:<22} {json.dumps(value, ensure_ascii=False)}")
        print()
    print("  (The answers come from a stand-in for Bedrock: they show which row they belong to, not a sentiment.)")
    report = json.loads((WORK / prefix / "report.json").read_text("utf-8"))
    print("\n▸ The report:\n")
    print("    " + json.dumps(report, indent=2).replace("\n", "\n    "))


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what is being done, then how long it took."""
    print(f"▸ {text} …", end=" ", flush=True)
    started = time.monotonic()
    yield
    print(f"done ({time.monotonic() - started:.1f} s)")


if __name__ == "__main__":
    main()
