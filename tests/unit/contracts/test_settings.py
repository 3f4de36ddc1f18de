"""Settings and files that outlive a deployment are refused when another version of the module wrote them."""

from typing import Any

import pytest

from bedrock_batch.contracts.settings import Settings
from bedrock_batch.contracts.version import CONTRACT, check_document
from bedrock_batch.errors import ContractMismatch
from tests.unit.factories import settings


@pytest.mark.parametrize("contract", [CONTRACT, CONTRACT - 1])
def test_settings_of_this_contract_and_of_the_one_before_are_read(contract: int) -> None:
    written = settings("m", tags={"team": "nlp"}).to_json() | {"contract": contract, "of_a_later_version": 1}
    assert Settings.read(written) == settings("m", tags={"team": "nlp"}, contract=contract)


@pytest.mark.parametrize(
    ("contract", "said"),
    [(CONTRACT + 1, "contract 2"), (CONTRACT - 2, "contract -1"), (None, "no contract"), ("1", "")],
)
def test_other_settings_say_what_to_do(contract: Any, said: str) -> None:
    with pytest.raises(ContractMismatch, match=f"^The module's settings.json has {said}.* Apply the module again, "):
        Settings.read(settings("m").to_json() | {"contract": contract})


def test_settings_that_lack_a_key_name_it() -> None:
    written = settings("m").to_json()
    del written["work_days"]
    with pytest.raises(ContractMismatch, match="^Settings has no key 'work_days'"):
        Settings.read(written)


@pytest.mark.parametrize("document", [[], None, "x", {}, {"contract": True}])
def test_what_has_no_contract_is_not_read(document: Any) -> None:
    with pytest.raises(ContractMismatch, match="^The file has "):
        check_document(document, "The file", "Start a new run.")
