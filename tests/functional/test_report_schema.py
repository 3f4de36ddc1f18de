"""Reports of all kinds match their schema, and would not match with another key or a wrong type.

Every other report that a test writes is compared too: see `finished` in played.py.
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import CanaryFailed
from bedrock_batch.run import salvage
from tests.conftest import BUCKET
from tests.functional.played import RUN, Jobs, finished, reviewed
from tests.functional.whole import LITE, MICRO, WholeRun, asked, reviews
from tests.report_schema import check
from tests.unit.factories import stopped

PRICE = {"input": 1.0, "output": 2.0}
LOST = {"error": {"errorCode": 400, "errorMessage": "refused"}}

Document = dict[str, Any]


def of_a_run(s3: S3) -> Document:
    played = WholeRun(s3, lambda _, record_id: LOST if record_id.endswith("3") else {})
    played.run(asked(LITE, price=PRICE, inference={"max_tokens": 10}, limits={"canary_records": 2}))
    return played.report()


def of_several_models(s3: S3) -> Document:
    played = WholeRun(s3)
    prices = {LITE: PRICE, MICRO: PRICE}
    played.run(asked(LITE, MICRO, price=prices, inference={"max_tokens": 10}, limits={"budget_usd": 9}))
    return played.report()


def of_a_dry_run(s3: S3) -> Document:
    played = WholeRun(s3)
    finished(s3, reviewed(s3, Jobs(), played.plan(asked(LITE, dry_run=True))))
    return played.report()


def of_a_dry_run_of_several_models(s3: S3) -> Document:
    played = WholeRun(s3)
    finished(s3, reviewed(s3, Jobs(), played.plan(asked(LITE, MICRO, dry_run=True))))
    return played.report()


def of_a_salvage(s3: S3) -> Document:
    played = WholeRun(s3)
    state = reviewed(s3, Jobs(), played.plan(asked(LITE, MICRO)))
    played.map(list(played.step(state)), "jobs")
    played.salvage(status="FAILED", error="States.Timeout", cause="too slow")
    assert played.report()["salvaged"] is True
    return played.report()


def of_nothing_sent(s3: S3) -> Document:
    played = WholeRun(s3)
    played.plan(asked(LITE))
    salvage.gather(s3, Jobs(), stopped(RUN, BUCKET))
    return played.report()


def of_a_failed_canary(s3: S3) -> Document:
    """Its answers are paid, although they are not kept."""
    played = WholeRun(s3)
    usage = {"inputTokens": 7, "outputTokens": 3}
    said = {"output": {"message": {"content": [{"text": "no object"}]}}, "stopReason": "end_turn", "usage": usage}
    played.converse = lambda **body: said  # type: ignore[method-assign]  # the model of this run alone
    wanted = {"type": "object", "properties": {"mood": {"type": "string"}}, "required": ["mood"]}
    document = asked(LITE, MICRO, price=PRICE, inference={"max_tokens": 10}, output={"schema": wanted})
    with pytest.raises(CanaryFailed):
        played.run(document | {"limits": {"canary_records": 2, "canary_failure_percentage": 0}})
    salvage.gather(s3, Jobs(), stopped(RUN, BUCKET, status="FAILED", error="CanaryFailed", cause="they failed"))
    report = played.report()
    assert (report["jobs"], list(report["usage"])) == ({}, ["on_demand"])
    used = report["usage"]["on_demand"]
    assert used["records"] == 4
    assert report["cost_usd"] == used["cost_usd"] > 0
    assert report["input_tokens"] + report["output_tokens"] == used["input_tokens"] + used["output_tokens"] > 0
    return report


KINDS = [
    of_a_run,
    of_several_models,
    of_a_dry_run,
    of_a_dry_run_of_several_models,
    of_a_salvage,
    of_nothing_sent,
    of_a_failed_canary,
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def report(request: pytest.FixtureRequest, s3: S3) -> Document:
    reviews(s3, 24, nulls={5})
    document: Document = request.param(s3)
    check(document)
    return document


NAMED_BY_THEMSELVES = {"usage", "jobs", "errors", "error_messages", "differing_jobs", "modelInput", "first_record"}
NAMED_BY_THEMSELVES |= {"settings", "functions", "examples"}
"""Objects whose keys are routes, statuses, codes, names, of the run input, or the model's own."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all values; within a model's own request and the run input there are none."""
    if path:
        yield path
    if path[-1:] in (("modelInput",), ("settings",)):
        return
    for key, member in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(member, (*path, key))


def changed(document: Document, path: tuple[Any, ...], change: Any) -> Document:
    """Return a copy in which `change` was applied to the value at a path."""
    copied = copy.deepcopy(document)
    within: Any = copied
    for step in path[:-1]:
        within = within[step]
    within[path[-1]] = change(within[path[-1]])
    return copied


def test_a_key_more_is_an_error(report: Document) -> None:
    with pytest.raises(AssertionError):
        check(report | {"mistyped": 1})
    for path in places(report):
        if path[-1] in NAMED_BY_THEMSELVES:
            continue
        try:
            more = changed(report, path, lambda value: value | {"mistyped": 1})
        except TypeError:  # it is no object
            continue
        with pytest.raises(AssertionError):
            check(more)
            raise RuntimeError(f"{path} may have any key")


def test_a_wrong_type_is_an_error(report: Document) -> None:
    for path in places(report):
        with pytest.raises(AssertionError):
            check(changed(report, path, lambda value: [["wrong"]]))
            raise RuntimeError(f"{path} may be anything")


def test_a_key_less_is_an_error(report: Document) -> None:
    for key in ("contract", "run_id", "status", "warnings", "model_id", "input"):
        with pytest.raises(AssertionError):
            check({name: value for name, value in report.items() if name != key})


def test_of_another_kind_a_key_is_an_error(report: Document) -> None:
    taken = {"dry_run": True, "parts": [], "first_record": {"recordId": "0" * 11, "modelInput": {}}, "usage": {}}
    for key in taken.keys() - report.keys():
        with pytest.raises(AssertionError):
            check(report | {key: taken[key]})
            raise RuntimeError(f"{key} may stand there")
