"""Lines that become events have the number of their contract."""

import pytest

from bedrock_batch.contracts.lines import Chunk, Event, LeftoverLines, PlannedShard, Pool, Shard, ShardJoin
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.run.next_lines import join_event
from tests.unit.factories import make_shard

EVENTS = (
    make_shard(0),
    ShardJoin("b", "k", 0, 0, 1, jobs=[]),
    Pool("b", "k", "i", [LeftoverLines(0, 0, 1)]),
    Chunk("b", "k", 0, [LeftoverLines(0, 0, 1)], "r"),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_are_written_with_their_contract(event: Event) -> None:
    assert event.to_json()["contract"] == CONTRACT
    assert type(event).from_json(event.to_json()) == event


def test_every_shape_of_an_event_is_tried() -> None:
    # By name: a dataclass with slots replaces the class that was written down.
    def below(kind: type[Event]) -> set[str]:
        return {kind.__name__} | {name for child in kind.__subclasses__() for name in below(child)}

    assert {type(event).__name__ for event in EVENTS} == below(Event) - {"Event", "Shard"}
    assert isinstance(make_shard(0), PlannedShard)


def test_a_join_is_of_the_contract_of_the_function_that_writes_it() -> None:
    """The plan that the shard was read from may be of the contract before."""
    shard = Shard.from_json(make_shard(0).to_json() | {"contract": CONTRACT - 1})
    assert join_event(shard, skipped_key=None, jobs=(), step=0).contract == CONTRACT
