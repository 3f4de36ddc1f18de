"""Find everything that is wrong with the end of a run."""

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq

from tests.soak.oracle import MISSING, SKIPPED, SUCCEEDED, TRUNCATED, Call, Foretold, Key, fault, foretell
from tests.soak.played import Played, Sent
from tests.soak.schedules import EMBEDDING_MODEL, FORBIDDEN, MAX_TOKENS, MORE_TOKENS, MOST_REFUSALS
from tests.unit.page.test_markup import seen

TERMINAL = {"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"}
TOKEN_BEGINS = base64.b64encode(b'["arn:aws:state').decode()
"""The beginning of every task token of the local AWS."""


def complaints(played: Played) -> list[str]:
    """Return what is wrong with a run's end; an empty list if nothing is."""
    schedule, ended = played.schedule, played.ended
    found: list[str] = []
    if not played.batch.keys(f"{played.batch.root}/claims/{played.run_id}.json"):
        return [f"no claim: {ended.status} {ended.error} {ended.cause[:500]}"]
    for job in played.jobs:
        if job["bedrock_status"] not in TERMINAL:
            found.append(f"left running: {job['job_name']} is {job['bedrock_status']}")
    if not played.batch.keys(f"{played.batch.root}/reports/{played.run_id}/report.json"):
        return [*found, f"no report: {ended.status} {ended.error} {ended.cause[:500]}"]
    found += [f"another execution of the name: {attempt}" for attempt in played.attempts if not attempt.was_refused]
    if len(played.versions) > 1:
        found.append(f"the run called functions of the versions {sorted(played.versions)}")
    for output in played.outputs:
        table = schedule.table()
        if [{name: row[name] for name in table[0]} for row in output] != table:
            return [*found, f"{len(output)} rows came out, not the {schedule.rows} of the input in order"]
    told = _foretold(played) if schedule.exact else None
    found += _of_outcomes(played, told)
    found += _of_answers(played)
    found += _of_payment(played, told)
    found += _of_inventory(played)
    found += _of_report(played)
    found += _of_page(played)
    for key in played.batch.keys(f"{played.batch.root}/work/{played.run_id}/results/"):
        if TOKEN_BEGINS.encode() in played.batch.read(key):
            found.append(f"a task token in {key}")
    return found


def _foretold(played: Played) -> Foretold:
    schedule = played.schedule
    by_shard = [
        [
            (record, schedule.answered(row))
            for record, row in played.rows.items()
            if record.startswith(f"{shard['shard']:05d}") and schedule.text(row) is not None
        ]
        for shard in played.shards
    ]
    return foretell(schedule, by_shard)


def _of_outcomes(played: Played, told: Foretold | None) -> Iterator[str]:
    schedule = played.schedule
    skipped = {key for key in played.outcomes if schedule.text(played.rows[key[1]]) is None}
    for key in skipped:
        if played.outcomes[key] != SKIPPED:
            yield f"{key} has nothing to say, and is {played.outcomes[key]}"
    keys = [key for key in played.outcomes if key not in skipped]
    wrong = [key for key in keys if not played.wrote(key).allows(played.outcomes[key])]
    for key in wrong[:3]:
        yield f"{key} is {played.outcomes[key]}, and Bedrock wrote {played.wrote(key)} ({len(wrong)} so)"
    if told is None:
        open_ = [key for key in keys if not played.wrote(key).is_settled(retry=bool(schedule.cut_every))]
        if open_:
            first = open_[0], played.outcomes[open_[0]], played.row(open_[0])["bedrock_error"]
            yield f"{len(open_)} records could have been answered, such as {first}"
    else:
        yield from _of_foretold(played, told, keys)
    refused = [key for key in keys if len(played.wrote(key).refusals) > MOST_REFUSALS]
    if refused:
        yield f"{len(refused)} records were sent again though two jobs had refused them, such as {refused[0]}"
    answered = [{played.outcomes[key] for key in keys if key[0] == model} for model in played.models]
    good = any(
        {SUCCEEDED, TRUNCATED} & outcomes for outcomes in answered
    )  # In a run of several models, one good model is enough.
    expected = ("SUCCEEDED", "") if good else ("FAILED", "TooManyFailures")
    if (played.ended.status, played.ended.error) != expected:
        yield f"the run ended {played.ended}"


def _of_foretold(played: Played, told: Foretold, keys: list[Key]) -> Iterator[str]:
    outcomes = told.outcomes
    differ = [key for key in keys if outcomes[key] != played.outcomes[key]]
    for key in differ[:3]:
        why = played.row(key)["bedrock_error"]
        yield f"{key} is {played.outcomes[key]} ({why}), foretold was {outcomes[key]}"
    if differ:
        yield f"{len(differ)} records have another end than foretold"
    rounds = [round_["jobs"] for round_ in played.report["rounds"]]
    if rounds != told.rounds:
        yield f"rounds {rounds}, foretold were {told.rounds}"
    passes = [pass_["records"] for pass_ in played.report["on_demand"]]
    if passes != told.passes:
        yield f"{passes} records on demand, foretold were {told.passes}"
    times = len(played.salvaged)  # A redrive for another reason also repairs the permission.
    if times > len(told.forbidden) or (times < len(told.forbidden) and not played.schedule.may_break):
        yield f"{times} times a permission was missing, foretold were the rounds {told.forbidden}"


def _of_answers(played: Played) -> Iterator[str]:
    """Every answer belongs to its row. The stand-in makes answers from prompts, so this can be checked."""
    for key, outcome in played.outcomes.items():
        if outcome not in (SUCCEEDED, TRUNCATED):
            continue
        line = played.row(key)
        shown = played.evidence[key].shown
        if EMBEDDING_MODEL in played.schedule.models:
            good = np.array_equal(np.float32(shown["embedding"]), np.float32(line["bedrock_embedding"]))
        else:
            prompt = f"{played.schedule.prompt}{line[played.schedule.column]} of {line['id']}"
            text = shown["output"]["message"]["content"][0]["text"]
            good = line["bedrock_response"] == text and hashlib.sha256(prompt.encode()).hexdigest()[:8] in text
        if not good:
            yield f"{key} has an answer that is not its own"
            return


def _of_payment(played: Played, told: Foretold | None) -> Iterator[str]:
    retry = bool(played.schedule.cut_every)
    settled = [one for one in played.sent if played.wrote(one.key).settled_before(one.moment, retry=retry)]
    if settled:
        yield f"sent again although settled: {len(settled)}, such as {settled[0].key} at {settled[0].moment}"
    for one in played.sent if retry else ():
        again = any(at < one.moment for at in played.wrote(one.key).moments)
        limit = one.body["inferenceConfig"]["maxTokens"]
        if limit != (MORE_TOKENS if again else MAX_TOKENS):
            yield f"{one.key} was sent at {one.moment} with a limit of {limit}"
            break
    twice = played.paid_twice()
    if told is not None:
        more, less = twice - Counter(told.paid_twice), Counter(told.paid_twice) - twice
        if (more or less) and not (_outlived_its_run(played, more) and not less):
            differ = more or less
            yield f"paid twice: {twice.total()} answers, foretold were {sum(told.paid_twice.values())}: {differ}"
        return
    explained = _may_be_paid_twice(played)
    more = {call: count for call, count in twice.items() if count > explained[call]}
    if more:
        yield f"paid twice without a reason: {more}"
    # Each stop may interrupt one call of a chunk.
    lost = {one.call for one in played.sent if _is_lost(played, one)}
    overlaps = Counter(
        one.source for one in played.sent if one.on_demand and one.call in twice and one.call not in lost
    )
    for source, count in overlaps.items():
        if count > len(played.schedule.stops):
            yield f"{count} records of {source} were paid twice"


def _outlived_its_run(played: Played, more: Counter[Call]) -> bool:
    """Return whether all these calls may have been paid again because a chunk's call went on after its run had failed.

    A refusal fails the run while other chunks are still answered. If the run is redriven at once, two calls answer the
    same chunk, and the one that writes second stops: with each redrive, at most one record of a chunk is paid again.
    """
    chunk_of = {one.call: one.source for one in played.sent if one.on_demand}
    again = Counter[str]()
    for call, count in more.items():
        again[chunk_of.get(call, "a job")] += count
    return bool(played.schedule.refusals) and "a job" not in again and max(again.values()) <= played.redrives


def _may_be_paid_twice(played: Played) -> Counter[Call]:
    """Return how often each request may have been paid twice in a run that was stopped.

    Answers that Bedrock did not write are asked for again. So is a record of an on-demand chunk whose call was in
    progress when the run was stopped: the redrive calls for it too.
    """
    found: Counter[Call] = Counter()
    for one in played.sent:
        found[one.call] += len(played.schedule.stops) if one.on_demand else _is_lost(played, one)
    return found


def _is_lost(played: Played, sent: Sent) -> bool:
    """Return whether Bedrock does not write a job's answer to a record."""
    rules = played.schedule.bedrock_rules()
    return not sent.on_demand and sent.place <= (fault(rules, sent.source, "drop_records") or 0)


def _of_inventory(played: Played) -> Iterator[str]:
    inventory = played.batch.inventory(played.run_id)
    for key, item in inventory.items():
        if "task_token" in item:
            yield f"{key} still holds a task token"
    expected = "SUCCEEDED_WITH_WARNINGS" if played.report["warnings"] else "SUCCEEDED"
    if played.ended.status == "SUCCEEDED" and inventory[f"run/{played.run_id}"]["status"] != expected:
        yield f"the inventory says that the run is {inventory[f'run/{played.run_id}']['status']}, not {expected}"
    noted = {key.removeprefix("job/"): item["status"] for key, item in inventory.items() if key.startswith("job/")}
    for job in played.jobs:
        if noted.pop(job["job_name"], None) != job["bedrock_status"]:
            noted_as = inventory.get(f"job/{job['job_name']}")
            yield f"{job['job_name']} is {job['bedrock_status']}, the inventory differs: {noted_as}"
    for name, status in noted.items():
        if status != "NotCreated":
            yield f"the inventory has {name} as {status}, and Bedrock knows no such job"


def _of_report(played: Played) -> Iterator[str]:
    report, rows = played.report, played.schedule.rows
    for model, section in enumerate(played.sections):
        counts = Counter(outcome for key, (outcome, _) in played.outcomes.items() if key[0] == model)
        if {name: count for name, count in section["outcomes"].items() if count} != counts:
            yield f"the report counts {section['outcomes']} of model {model}, the output has {dict(counts)}"
        if section["rows"] != rows or len(section["parts"]) != len(played.shards):
            yield f"the report has {section['rows']} rows in {len(section['parts'])} parts"
        keys = played.output_keys(model)
        if keys != [part["key"] for part in section["parts"]]:
            yield f"parts {keys}, reported are {section['parts']}"
        if sum(pq.read_metadata(io.BytesIO(played.batch.read(key))).num_rows for key in keys) != rows:
            yield "the rows of the parts do not add up"
    for salvaged in played.salvaged:
        said = [job.get("message", "") for job in salvaged["failed_jobs"]]
        if not any(FORBIDDEN in message for message in said):
            yield f"the report of a run that lacked a permission says {said}"
    if report.get("salvaged"):
        yield f"a salvaged report stands, and the run is {played.ended.status}"
    missing = sum(outcome == MISSING for outcome in played.outcomes.values())
    if report["leftovers"] < missing:
        yield f"{missing} rows are missing, and the report has {report['leftovers']} leftovers"
    if played.schedule.cut_every:
        yield from _of_retries(played)


def _of_page(played: Played) -> Iterator[str]:
    """The page and the statement lie beside the report; the page says the same end, and has no text of a row."""
    folder = f"{played.batch.root}/reports/{played.run_id}/"
    wanted = {f"{folder}{name}" for name in ("report.json", "report.html", "table.sql", "estimate.json")}
    if missing := wanted - set(played.batch.keys(folder)):
        yield f"no {sorted(missing)}"
        return
    page = played.batch.read(f"{folder}report.html").decode()
    found = seen(page)
    if [name for name, _ in found.elements if name in ("html", "main", "h1")] != ["html", "h1", "main"]:
        yield f"the page has the elements {[name for name, _ in found.elements][:20]}"
    said = {"SUCCEEDED": "Succeeded", "FAILED": "Failed"}.get(played.ended.status, "Stopped")
    if said not in found.text:
        yield f"the page does not say that the run has {said}"
    told = [text for row in range(played.schedule.rows) if (text := played.schedule.text(row))]
    if shown := [text for text in (f"seed {played.schedule.seed}:", *told[:20]) if text in found.text]:
        yield f"the page shows texts of rows, such as {shown[0]!r}"
    if "CREATE EXTERNAL TABLE" not in played.batch.read(f"{folder}table.sql").decode():
        yield "table.sql has no statement"


def _of_retries(played: Played) -> Iterator[str]:
    """The report counts exactly the records that a model answered twice."""
    twice = [key for key, evidence in played.evidence.items() if len(evidence.moments) > 1]
    outcomes = Counter(played.outcomes[key][0] for key in twice)
    if played.report["retried"] != {"records": len(twice), **outcomes}:
        yield f"the report has {played.report['retried']} as retried, Bedrock answered {len(twice)} twice: {outcomes}"
