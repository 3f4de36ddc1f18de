"""Files of a run that another version of the module wrote are refused where they are read."""

from collections.abc import Callable
from typing import Any

import pytest

from bedrock_batch.contracts.claim import Claim
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.errors import ContractMismatch, RunNameTaken
from bedrock_batch.run.claim_run import claim_run
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench, gathered, reviewed
from tests.unit.factories import claimed, keys_of

State = dict[str, Any]
OTHERS = [CONTRACT + 1, CONTRACT - 2, None, "1"]


def rewritten(bench: Bench, key: str, **changes: Any) -> None:
    bench.s3.put_json(BUCKET, key, bench.s3.get_json(BUCKET, key) | changes)


@pytest.mark.parametrize("contract", OTHERS)
def test_a_run_that_another_version_planned_is_not_gone_on_with(aws: None, contract: Any) -> None:
    bench = Bench([150])
    state = bench.review()
    rewritten(bench, keys_of(RUN).run(), contract=contract)
    calls: list[Callable[[], State]] = [
        lambda: reviewed(bench.s3, bench.bedrock, bench.planned()),
        lambda: gathered(bench.s3, bench.bedrock, state),
    ]
    for call in calls:
        with pytest.raises(ContractMismatch, match=r"^s3://.*/run.json has .*contract.*: start a new run\.$"):
            call()


def test_a_run_of_the_contract_before_is_gone_on_with(aws: None) -> None:
    bench = Bench([150])
    rewritten(bench, keys_of(RUN).run(), contract=CONTRACT - 1)
    assert bench.review()["next"] == "run_jobs"


def of(start: str) -> Claim:
    return Claim(CONTRACT, claimed(RUN, BUCKET).execution_arn, start)


@pytest.mark.parametrize("contract", OTHERS)
def test_a_claim_of_another_version_is_not_read(aws: None, contract: Any) -> None:
    bench, state = Bench([150]), claimed(RUN, BUCKET)
    claim_run(bench.s3, state, of(state.started_at))
    rewritten(bench, keys_of(RUN).claim, contract=contract)
    with pytest.raises(ContractMismatch, match=r"^The claim s3://.* Start this run under another execution name\.$"):
        claim_run(bench.s3, state, of(state.started_at))


@pytest.mark.parametrize("contract", OTHERS)
def test_a_claim_of_another_version_keeps_its_name(aws: None, contract: Any) -> None:
    """Claims never expire, so a name may be taken by a run of any version."""
    bench, state = Bench([150]), claimed(RUN, BUCKET)
    claim_run(bench.s3, state, of(state.started_at))
    rewritten(bench, keys_of(RUN).claim, contract=contract)
    with pytest.raises(RunNameTaken, match="Its files were not changed"):
        claim_run(bench.s3, state, of("2100-02-01T00:00:00.000Z"))
