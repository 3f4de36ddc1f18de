"""The lines of what a run does next: each is complete in itself, legal, and small enough for a state."""

import json
from dataclasses import replace

import pytest

from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.contracts.results import Joined
from bedrock_batch.run import next_lines
from bedrock_batch.run.decide import MAX_POOLED_SHARDS, Standing
from tests.unit.factories import keys_of, make_run, make_shard

STATE_BYTES = 256 * 1024
END = JobEnd("job", "Expired", "raw/job/")
SKIPPED = {0: None, 1: "reviews/work/monday/skipped/00001.jsonl", 2: None}


def fresh(*records: int) -> list[Standing]:
    return [Standing(shard=number, records=count, bytes=count * 400) for number, count in enumerate(records)]


def ended(*leftovers: int, records: int = 500) -> list[Standing]:
    joins = [
        Joined(number, records, "part", 1, {"missing": left}, left, 0, 0, jobs=1, leftovers_step=0, leftover_bytes=left)
        for number, left in enumerate(leftovers)
    ]
    return [Standing(shard=one.shard, records=records, bytes=1, ends=(END,), joined=one) for one in joins]


def test_large_shards_have_jobs_of_their_own_and_small_ones_share_one() -> None:
    run = make_run(shards=3)
    shards = [make_shard(number) for number in range(3)]
    first, pooled = next_lines.job_lines(run, shards, fresh(150, 60, 60), SKIPPED, round_=0)
    assert first["request"]["JobName"] == first["job_name"]
    assert first["request"]["InputDataConfig"]["S3InputDataConfig"]["S3Uri"].endswith(
        "reviews/work/monday/input/00000.jsonl"
    )
    assert first["request"]["OutputDataConfig"]["S3OutputDataConfig"]["S3Uri"].endswith(first["raw_prefix"])
    assert first["join"] == next_lines.join_event(shards[0], skipped_key=None, jobs=[], step=0).to_json()
    assert "pool" not in first
    assert "join" not in pooled
    assert pooled["number"] == 3, "behind the numbers of shards"
    assert pooled["records"] == 120
    assert pooled["pool"]["input_key"] == "reviews/work/monday/input/r0-00003.jsonl"
    assert run.pooled_job(pooled["pool"]["input_key"]) == pooled["job_name"]
    assert pooled["request"]["InputDataConfig"]["S3InputDataConfig"]["S3Uri"].endswith(pooled["pool"]["input_key"])


def test_small_shards_that_make_no_job_together_wait() -> None:
    shards = [make_shard(number) for number in range(3)]
    (only,) = next_lines.job_lines(make_run(shards=3), shards, fresh(150, 60, 0), SKIPPED, round_=0)
    assert only["number"] == 0


def test_later_rounds_are_pooled_and_named_anew() -> None:
    lines = list(next_lines.job_lines(make_run(shards=2), [], ended(150, 150), {}, round_=2))
    (line,) = lines
    assert (line["round"], line["number"], line["records"]) == (2, 0, 300)
    assert "-r2-00000" in line["job_name"]
    assert lines == list(next_lines.job_lines(make_run(shards=2), [], ended(150, 150), {}, round_=2))


@pytest.mark.parametrize(("asked", "jobs"), [(None, 1), (1000, 1), (150, 2), (10, 3)])
def test_a_pooled_job_keeps_to_the_records_that_were_asked_for(asked: int | None, jobs: int) -> None:
    run = make_run()
    limited = make_run(input=run.input | ({"max_records_per_job": asked} if asked else {}))
    assert len(list(next_lines.job_lines(limited, [], ended(150, 150), {}, round_=1))) == jobs


def test_jobs_of_several_models_take_turns_and_share_no_name() -> None:
    models = ["acme.one", "acme.two"]
    one, two = (make_run(shards=2, models=models, number=number, model_id=models[number]) for number in range(2))
    plans = {run.number: [make_shard(number) for number in run.numbers] for run in (one, two)}
    skipped: dict[int, str | None] = dict.fromkeys(range(4))
    standings = fresh(150, 120, 60, 60)
    lines = list(
        next_lines.in_turn(
            next_lines.job_lines(
                run, plans[run.number], standings[run.numbers.start : run.numbers.stop], skipped, round_=0
            )
            for run in (one, two)
        )
    )
    assert [line["request"]["ModelId"] for line in lines] == ["acme.one", "acme.two", "acme.one"]
    # Jobs of large shards have the shard's number. The numbers of pooled jobs follow those of all shards.
    assert [line["number"] for line in lines] == [0, 5, 1]
    assert lines[1]["pool"]["run_key"] == "reviews/work/monday/run-1.json"
    assert {sent["shard"] for sent in lines[1]["pool"]["leftover_lines"]} == {2, 3}

    later = [next_lines.job_lines(run, [], ended(500, 500), {}, round_=1) for run in (one, two)]
    assert [line["number"] for line in next_lines.in_turn(later)] == [4, 5]
    wide = make_run(shards=2, models=models, number=1, input=one.input | {"max_records_per_job": 300})
    assert [line["number"] for line in next_lines.job_lines(wide, [], ended(500, 500), {}, round_=1)] == [5, 7, 9, 11]


def test_a_model_with_the_body_of_another_reads_its_files() -> None:
    run = make_run(shards=2, models=["acme.one", "acme.two"], number=1, rendered_as=0)
    shards = [make_shard(2), make_shard(3)]
    standings = [replace(standing, shard=standing.shard + 2) for standing in fresh(150, 150)]
    lines = list(next_lines.job_lines(run, shards, standings, dict.fromkeys(range(4)), round_=0))
    uris = [line["request"]["InputDataConfig"]["S3InputDataConfig"]["S3Uri"] for line in lines]
    assert [uri.rpartition("/")[2] for uri in uris] == ["00000.jsonl", "00001.jsonl"]
    assert [line["join"]["shard"] for line in lines] == [2, 3]


def test_the_longest_line_fits_a_state() -> None:
    run = make_run(run_id="r" * 80, model_id="m" * 400, execution_arn="arn:" + "x" * 200)
    thin = [
        Standing(
            shard=90_000 + number,
            records=10**6,
            bytes=1,
            ends=(END,),
            joined=Joined(90_000 + number, 10**6, "p", 1, {}, 500, 0, 0, jobs=1, leftovers_step=12),
        )
        for number in range(MAX_POOLED_SHARDS)
    ]
    lines = [json.dumps(line) for line in next_lines.job_lines(run, [], thin, {}, round_=1)]
    assert max(len(line) for line in lines) < STATE_BYTES / 1.5


def test_chunks_are_named_by_their_pass() -> None:
    lines = list(next_lines.answer_lines(make_run(), fresh(15, 8), pass_=1))
    assert [line["raw_key"] for line in lines] == [keys_of().on_demand(1, number) for number in range(3)]
    assert [sum(sent["stop"] - sent["start"] for sent in line["leftover_lines"]) for line in lines] == [10, 10, 3]


def test_what_changed_is_joined_and_the_rest_at_the_end() -> None:
    shards = [make_shard(number) for number in range(3)]
    done, never = ended(0, 0), Standing(shard=2, records=0, bytes=0)
    stale = Standing(shard=1, records=100, bytes=1, ends=(END, END))
    lines = list(next_lines.join_lines(shards, [done[0], stale, never], SKIPPED, step=4))
    assert [line["shard"] for line in lines] == [1]
    assert lines[0]["jobs"] == [END.to_json()] * 2
    assert (lines[0]["step"], lines[0]["skipped_key"]) == (4, SKIPPED[1])
    lines = list(next_lines.join_lines(shards, [*done, never], SKIPPED, step=5))
    assert [(line["shard"], line["jobs"]) for line in lines] == [(2, [])]
