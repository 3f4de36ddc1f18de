"""Reports of runs of every kind, as report.json has them: small ones, and one as large as a run can be."""

from typing import Any

Report = dict[str, Any]

LITE, MICRO = "amazon.nova-lite-v1:0", "amazon.nova-micro-v1:0"
PLACE = "s3://runs-bucket/reviews"
RATE = {"input": 0.03, "output": 0.12}


def outcomes(**counts: int) -> dict[str, int]:
    names = ("succeeded", "truncated", "invalid", "failed", "skipped", "missing")
    return {name: counts.get(name, 0) for name in names}


def estimate(**changes: Any) -> Report:
    numbers = {"rows": 2500, "records": 2500, "skipped": 0, "jobs": 5, "on_demand_records": 0, "input_bytes": 1_300_000}
    return {**numbers, "input_tokens": 171_000, "output_tokens": 250_000, "cost_usd": 0.03513, **changes}


def used(records: int, input_tokens: int, output_tokens: int, cost: float | None = 0.0) -> Report:
    known = {"cost_usd": cost, "usd_per_million": RATE}
    if cost is None:
        known = {"cost_usd": None, "cost_unknown": "the run input has no price"}
    return {"records": records, "input_tokens": input_tokens, "output_tokens": output_tokens, **known}


def origin(run_id: str) -> Report:
    settings = {
        "s3_uri": "s3://runs-bucket/datasets/reviews.csv",
        "model_id": LITE,
        "prompt_id": "review",
        "inference": {"max_tokens": 100},
        "input": {"nulls": "skip"},
        "output": {"format": "parquet", "prefix": "ai_", "schema": ["sentiment", "topic", "urgency"]},
        "limits": {"max_concurrent_jobs": 20, "max_rounds": 2, "budget_usd": 1.5},
        "price": RATE,
        "dry_run": False,
    }
    return {
        "started_at": "2026-11-29T06:43:15.120Z",
        "settings": settings,
        "prompt": {"id": "review", "sha256": "9b74c9897bac770ffc029102a200c5de" * 2},
        "functions": {"gather_leftovers": "3", "join_shard": "5", "finish_run": "4"},
        "input": ["s3://runs-bucket/datasets/reviews.csv"],
    }


def timed(job_name: str, round_: int, start: int, stop: int, status: str = "Completed", records: int = 500) -> Report:
    """Return a job that ran for a third of its time."""
    running = _at(start + 2 * (stop - start) // 3)
    times = {"submitted_at": _at(start), "running_at": running, "ended_at": _at(stop), "seconds": float(stop - start)}
    return {"job_name": job_name, "round": round_, "status": status, "records": records, **times}


def _at(seconds: int) -> str:
    return f"2026-11-29T{7 + seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.000Z"


def timeline(jobs: list[Report]) -> Report:
    seconds = sorted(job["seconds"] for job in jobs)
    begun, ended = min(job["submitted_at"] for job in jobs), max(job["ended_at"] for job in jobs)
    rounds = sorted({job["round"] for job in jobs})
    return {
        "begun_at": begun,
        "ended_at": ended,
        "jobs": len(jobs),
        "bin_seconds": 60,
        "waiting": [3, 1, 0, 0, 0],
        "queued": [2, 3, 1, 0, 0],
        "running": [0, 1, 2, 0, 0],
        "start_unknown": [0, 0, 0, 1, 0],
        "ended": [0, 0, 2, 4, len(jobs)],
        "job_seconds": {"least": seconds[0], "median": seconds[len(seconds) // 2], "most": seconds[-1]},
        "queued_seconds": {"least": 8.0, "median": 600.0, "most": seconds[-1] * 2 / 3},
        "rounds": [
            {
                "round": number,
                "begun_at": min(job["submitted_at"] for job in jobs if job["round"] == number),
                "ended_at": max(job["ended_at"] for job in jobs if job["round"] == number),
            }
            for number in rounds
        ],
    }


def good(run_id: str = "monday") -> Report:
    """A run like the demo's: one job of five fails half-way, and a second round heals it."""
    jobs = [timed(f"reviews-demo-3f2a91bc04-r0-{n:05d}", 0, 20 * n, 1500 + 97 * n) for n in range(1, 5)]
    jobs.append(timed("reviews-demo-3f2a91bc04-r0-00000", 0, 0, 900, "Failed"))
    jobs.append(timed("reviews-demo-3f2a91bc04-r1-00000", 1, 1960, 2790, records=200))
    failed = {
        "job_name": "reviews-demo-3f2a91bc04-r0-00000",
        "status": "Failed",
        "message": "Internal error, please try again.",
        "records": 500,
        "now": "all 500 records have an answer",
    }
    return {
        "contract": 1,
        "run_id": run_id,
        "status": "SUCCEEDED",
        "rows": 2500,
        "outcomes": outcomes(succeeded=2500),
        "cost_usd": 0.010873,
        "output": f"{PLACE}/output/{run_id}/",
        "warnings": [],
        "usage": {"batch": used(2500, 168_402, 48_515, 0.010873)},
        "model_id": LITE,
        "jobs": {"Completed": 5, "Failed": 1},
        "failed_jobs": [failed],
        "rounds": [
            {"jobs": {"Completed": 4, "Failed": 1}, "records": 2500},
            {"jobs": {"Completed": 1}, "records": 200},
        ],
        "on_demand": [],
        "shards": 5,
        "bytes": 412_233,
        "leftovers": 0,
        "input_tokens": 168_402,
        "output_tokens": 48_515,
        "errors": {},
        "error_messages": {},
        "met_max_tokens": 0,
        "by_bedrock": None,
        "estimate": estimate(),
        **origin(run_id),
        "parts": [
            {"shard": n, "key": f"reviews/output/{run_id}/part-{n:05d}.parquet", "rows": 500, "bytes": 82_000}
            for n in range(5)
        ],
        "timeline": timeline(jobs),
        "slowest_jobs": sorted(jobs, key=lambda job: -job["seconds"]),
    }


def with_warnings() -> Report:
    return good("tuesday") | {
        "outcomes": outcomes(succeeded=2361, truncated=62, invalid=40, failed=21, skipped=9, missing=7),
        "warnings": [
            "62 of 2463 answers met max_tokens (100): raise it, or use retry",
            "40 of 2463 answers do not match output.schema: ai_error says why",
            "23 more records than estimated were answered on demand, at about twice the batch price",
        ],
        "usage": {"batch": used(2440, 165_000, 47_900, 0.010698), "on_demand": used(23, 1_500, 420, 0.000191)},
        "cost_usd": 0.010889,
        "input_tokens": 166_500,
        "output_tokens": 48_320,
        "errors": {"InvalidAnswer": 40, "400": 14, "EmptyText": 9, "Expired": 7, "content_filtered": 4, "teapot": 3},
        "error_messages": {"400": "SECRET of a row"},
        "on_demand": [{"records": 23, "failed": 0, "lost_chunks": 0}],
        "retried": {"records": 31, "succeeded": 24, "truncated": 7},
    }


def failed_at_the_gate() -> Report:
    message = (
        "900 of 1000 rows that were sent have no answer (90.0%, but at most 20% are tolerated): "
        "100 succeeded, 900 failed. 400 (900 rows): "
        '"SECRET of a row" The table and the report are complete: ai_error_code and ai_error say why for each row.'
    )
    return good("wednesday") | {
        "status": "FAILED",
        "error": "TooManyFailures",
        "message": message,
        "rows": 1000,
        "outcomes": outcomes(succeeded=100, failed=900),
        "errors": {"400": 900},
        "error_messages": {"400": "SECRET of a row"},
    }


def failed_at_its_canary() -> Report:
    """A run of which only its first rows were asked; its message quotes their errors."""
    message = (
        '10 of 20 records failed. Their errors are in x: 400 (10 rows): "SECRET", "of a row", InvalidAnswer (2 rows)'
    )
    return stopped_before_any_job() | {
        "run_id": "canary",
        "error": "CanaryFailed",
        "message": message,
        "warnings": ['one: 900 of 1000 rows have no answer: 400 (900 rows): "SECRET". More.'],
    }


def failed_in_planning() -> Report:
    return {
        "contract": 1,
        "run_id": "thursday",
        "status": "FAILED",
        "error": "MissingColumn",
        "message": "The request has a place {reviw}, but the table has no such column. Did you mean {review}?",
        "salvaged": True,
        "warnings": [],
        "jobs": {},
        "started_at": "2026-11-29T06:43:15.120Z",
        "functions": {"gather_leftovers": "3", "join_shard": "5", "finish_run": "4"},
    }


def stopped_before_any_job() -> Report:
    return failed_in_planning() | {
        "status": "FAILED",
        "error": "BudgetExceeded",
        "message": "The estimate is 3.1 USD for 100 input and 2 output tokens; limits.budget_usd is 1.5.",
        "model_id": LITE,
        "estimate": estimate(cost_usd=3.1),
        **origin("friday"),
        "run_id": "friday",
    }


def salvaged() -> Report:
    return good("saturday") | {
        "status": "ABORTED",
        "message": "the execution was stopped",
        "salvaged": True,
        "outcomes": outcomes(succeeded=1500, missing=1000),
        "jobs": {"Completed": 3, "Stopped": 2, "NotCreated": 1},
        "errors": {"Stopped": 700, "NotCreated": 300},
    }


def over_budget() -> Report:
    over = {"budget_usd": 0.01, "spent_usd": 0.0098, "next_usd": 0.002, "next_step": "run_jobs", "records": 140}
    return with_warnings() | {"run_id": "sunday", "over_budget": over}


def dry() -> Report:
    record = {
        "recordId": "00000000000",
        "modelInput": {"messages": [{"role": "user", "content": [{"text": "Is it good?\n\nIt boils."}]}]},
    }
    return {
        "contract": 1,
        "run_id": "trial",
        "status": "SUCCEEDED",
        "dry_run": True,
        "rows": 2500,
        "estimate": estimate(),
        "warnings": [],
        "model_id": LITE,
        "first_record": record,
        **origin("trial"),
    }


def of_models(models: int = 2) -> Report:
    report = good("several")
    one = {
        key: report[key]
        for key in ("rows", "outcomes", "cost_usd", "output", "warnings", "usage", "jobs", "shards", "bytes")
    }
    one |= {key: report[key] for key in ("leftovers", "input_tokens", "output_tokens", "errors", "error_messages")}
    one |= {key: report[key] for key in ("met_max_tokens", "by_bedrock", "parts")}
    names = [LITE, MICRO, *(f"amazon.model-{number:03d}-v1:0" for number in range(models))][:models]
    for key in ("by_bedrock", "parts"):
        del report[key]
    return report | {
        "rows_times_models": 2500 * models,
        "outcomes": outcomes(succeeded=2500 * models),
        "model_id": names,
        "models": [one | {"model_id": name} for name in names],
    }


def with_examples() -> Report:
    rows = [
        {"row": 1, "outcome": "succeeded", "response": '{"sentiment": "positive"}'},
        {
            "row": 7,
            "outcome": "invalid",
            "response": "I think it is fine",
            "error_code": "InvalidAnswer",
            "error": "no object",
        },
        {"row": 9, "outcome": "failed", "error_code": "400", "error": "SHOWN text of a row"},
    ]
    return with_warnings() | {"run_id": "shown", "examples": {"first_record": dry()["first_record"], "rows": rows}}


def large(jobs: int = 10_000, text: str = "") -> Report:
    """A run of very many jobs, codes, models, warnings and files, each with a text beside it."""
    report = of_models(200)
    listed = [timed(f"job-{n:05d}{text}", n % 3, n // 10, n // 10 + 900 + n % 777) for n in range(jobs)]
    bins = 96
    chart = timeline(listed) | {
        "waiting": [max(0, jobs - 110 * n) for n in range(bins)],
        "queued": [min(100, 2 * n) * 17 for n in range(bins)],
        "running": [min(100, 2 * n) * 15 for n in range(bins)],
        "start_unknown": [min(100, 2 * n) * 5 for n in range(bins)],
        "ended": [n * jobs // bins for n in range(bins)],
    }
    failed = [
        {
            "job_name": f"job-{n:05d}{text}",
            "status": f"Failed{text}",
            "message": f"no {text}",
            "records": 9,
            "now": f"lost {text}",
        }
        for n in range(jobs)
    ]
    example = {"row": 1, "outcome": "succeeded", "response": f"r{text}", "error_code": f"c{text}", "error": f"e{text}"}
    record = {"recordId": "00000000000", "modelInput": {f"key {n}": f"value {text}" for n in range(1000)}}
    examples = {"first_record": record, "rows": [example] * 100}
    return report | {
        "run_id": "large",
        "status": "FAILED",
        "error": f"Unheard{text}"[:100_000],
        "message": f"It failed {text}",
        "failed_children": [{"error": f"E{text}", "message": text, "children": 3, "first": f"job {text}"}] * 100,
        "warnings": [f"warning {n} {text}" for n in range(1000)],
        "errors": {f"code {n} {text}": n for n in range(1000)},
        "error_messages": {f"code {n} {text}": f"said {text}" for n in range(1000)},
        "jobs": {f"status {n}{text}"[:1000]: 9 for n in range(50)},
        "rounds": [{"jobs": {f"Completed{text}": 7}, "records": 9}] * 12,
        "failed_jobs": failed,
        "timeline": chart,
        "slowest_jobs": listed[:24],
        "usage": {f"route {n} {text}": used(1, 1, 1, 0.1) for n in range(100)},
        "settings": {f"key {n} {text}": text for n in range(1000)},
        "functions": {f"function {n} {text}": text for n in range(1000)},
        "input": [f"s3://b/{n}{text}" for n in range(jobs)],
        "left_out": {"objects": 10_000, "first": [f"s3://b/{n}{text}" for n in range(1000)]},
        "examples": {name: examples for name in [f"m{n}{text}" for n in range(200)]},
    }


KINDS: dict[str, Report] = {
    "good": good(),
    "with-warnings": with_warnings(),
    "failed-at-the-gate": failed_at_the_gate(),
    "failed-at-its-canary": failed_at_its_canary(),
    "failed-in-planning": failed_in_planning(),
    "stopped-before-any-job": stopped_before_any_job(),
    "salvaged": salvaged(),
    "over-budget": over_budget(),
    "dry": dry(),
    "of-models": of_models(12),
    "with-examples": with_examples(),
    "large": large(),
}
