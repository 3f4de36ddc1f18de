"""A function reads events of its own contract and of the one before it, and refuses all others."""

from typing import Any

import pytest

from bedrock_batch.contracts import version
from bedrock_batch.contracts.version import CONTRACT, check_contract
from bedrock_batch.errors import BY_NAME, ContractMismatch, InputError, RunError, TransientError


@pytest.mark.parametrize("contract", [CONTRACT, CONTRACT - 1])
def test_events_of_this_contract_and_of_the_one_before_are_read(contract: int) -> None:
    check_contract({"contract": contract, "run_id": "monday"})


@pytest.mark.parametrize("event", [{}, {"run_id": "monday"}, {"contract": None}, [], "monday", None])
def test_an_event_without_a_contract_is_of_version_0_1(event: Any) -> None:
    with pytest.raises(ContractMismatch) as caught:
        check_contract(event)
    said = str(caught.value)
    assert said.startswith("The event has no contract, so this version cannot read it: ")
    assert said.endswith("Let runs of version 0.1 end before you upgrade.")


@pytest.mark.parametrize("contract", [str(CONTRACT), float(CONTRACT), True, [CONTRACT], {}])
def test_only_a_whole_number_is_a_contract(contract: Any) -> None:
    with pytest.raises(ContractMismatch, match="which is not a number"):
        check_contract({"contract": contract})


@pytest.mark.parametrize("contract", [CONTRACT + 1, CONTRACT + 7])
def test_a_newer_contract_asks_for_a_newer_module(contract: int) -> None:
    with pytest.raises(ContractMismatch) as caught:
        check_contract({"contract": contract})
    assert str(caught.value).startswith(f"The event has contract {contract}, but this function reads contract")
    assert str(caught.value).endswith("Deploy the version of the module that started this run, or a newer one.")


@pytest.mark.parametrize("contract", [CONTRACT - 2, -1])
def test_an_older_contract_asks_for_a_new_run(contract: int) -> None:
    with pytest.raises(ContractMismatch, match="An older version of the module started this run. Start a new run."):
        check_contract({"contract": contract})


def test_what_is_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first contract has none before it. Later, two contracts can be read."""
    for own, said in ((1, "reads contract 1\\."), (2, "reads contracts 1 and 2\\."), (5, "reads contracts 4 and 5\\.")):
        monkeypatch.setattr(version, "CONTRACT", own)
        with pytest.raises(ContractMismatch, match=said):
            check_contract({"contract": 9})
        check_contract({"contract": own - 1})
        with pytest.raises(ContractMismatch, match=said):
            check_contract({"contract": own - 2})


def test_the_mismatch_is_no_fault_of_the_input_and_does_not_pass() -> None:
    assert BY_NAME["ContractMismatch"] is ContractMismatch
    assert not issubclass(ContractMismatch, InputError | TransientError | RunError)
