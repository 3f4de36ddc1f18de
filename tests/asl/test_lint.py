"""The state machines' grammar, checked without running them."""

import re
from collections.abc import Iterator

import jsonata
import pytest

from . import services
from .jsonata_code import known_functions, reads
from .machines import (
    CHILDREN,
    FILES,
    MACHINES,
    Chain,
    State,
    all_chains,
    all_states,
    chains,
    definition,
    expressions,
    strings,
    tasks,
)

TYPES = {"Task", "Map", "Choice", "Wait", "Pass", "Succeed", "Fail"}
FLOW = {"Type", "Comment", "Next", "End", "Output", "Assign"}
FIELDS = {
    "Task": FLOW | {"Resource", "Arguments", "TimeoutSeconds", "Retry", "Catch"},
    "Map": FLOW | {"Label", "Items", "ItemReader", "MaxConcurrency", "ItemProcessor", "ResultWriter"},
    "Choice": {"Type", "Comment", "Choices", "Default"},
    "Wait": FLOW | {"Seconds"},
    "Pass": FLOW,
    "Succeed": {"Type", "Comment", "Output"},
    "Fail": {"Type", "Comment", "Error", "Cause"},
}

_CONTEXT = (
    ["Execution", "Name"],
    ["Execution", "Id"],
    ["Execution", "StartTime"],
    ["Execution", "Input"],
    ["StateMachine", "Id"],
    ["Execution", "RedriveCount"],
    ["Task", "Token"],
)
"""The parts of the context object that are read. A redrive changes only the last two."""

each_file = pytest.mark.parametrize("name", FILES)
each_machine = pytest.mark.parametrize("name", MACHINES)
each_chain = pytest.mark.parametrize("chain", all_chains(), ids=lambda chain: chain.name)
each_state = pytest.mark.parametrize("state", all_states(), ids=str)
each_task = pytest.mark.parametrize("state", tasks(), ids=str)
MAPS = [state for state in all_states() if state.type == "Map"]
each_map = pytest.mark.parametrize("state", MAPS, ids=str)
each_map_over_a_file = pytest.mark.parametrize("state", [s for s in MAPS if "Items" not in s.body], ids=str)


@each_file
def test_file_is_json_in_jsonata_before_its_placeholders_are_filled(name: str) -> None:
    assert definition(name)["QueryLanguage"] == "JSONata"
    assert definition(name)["Comment"]
    assert set(definition(name)) <= {"Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds"}


def test_one_state_keeps_the_place_of_a_file() -> None:
    for (machine, state), file in CHILDREN.items():
        (kept,) = definition(machine)["States"][state]["ItemProcessor"]["States"].values()
        assert kept["Type"] == "Succeed"
        assert f"{file}.asl.json" in kept["Comment"]


@each_state
def test_state_has_only_fields_of_its_type(state: State) -> None:
    """Fields of JSONPath (Parameters, ResultPath, …Path, keys that end in .$) are not allowed."""
    assert state.type in TYPES
    assert set(state.body) <= FIELDS[state.type]
    assert not [text for text in strings(state.body) if text.endswith(".$") or text.startswith("$.")]


@each_state
def test_name_is_a_short_sentence(state: State) -> None:
    assert re.fullmatch(r"[A-Z][a-z]+( [a-z]+)*\??", state.name)
    assert len(state.name) <= 40
    assert state.name.endswith("?") == (state.type == "Choice"), "Choices are questions, and nothing else is"


@each_chain
def test_every_way_leads_to_a_state_and_every_state_is_reached(chain: Chain) -> None:
    reached, ahead = set(), [chain.start]
    while ahead:
        name = ahead.pop()
        assert name in chain.states, f"{name} does not exist"
        if name not in reached:
            reached.add(name)
            ahead += [way.target for way in chain.states[name].ways() if way.kind != "end"]
    assert reached == set(chain.states)


@each_chain
def test_variables_are_assigned_on_every_way_to_their_use(chain: Chain) -> None:
    known = known_at_entry(chain)
    for state in chain.states.values():
        for path, code in expressions(state.body):
            missing = reads(code).variables - known[state.name]
            assert not missing, f"{state}{path} reads {missing}, which some way to it does not assign"


def known_at_entry(chain: Chain) -> dict[str, set[str]]:
    """Return the variables that each state can rely on: those assigned on every way from the start.

    Children of a Distributed Map see none of their parent's. Assign and Output of a state see its entry.
    """
    everything = {
        name for state in chain.states.values() for way in state.ways() for name in way.rule.get("Assign", ())
    }
    known = {name: set(everything) for name in chain.states}
    known[chain.start] = set()
    changed = True
    while changed:
        changed = False
        for state in chain.states.values():
            for way in state.ways():
                if way.target is None:
                    continue
                there = known[way.target] & (known[state.name] | set(way.rule.get("Assign", ())))
                changed |= there != known[way.target]
                known[way.target] = there
    return known


@each_machine
def test_no_variable_is_assigned_in_two_nested_scopes(name: str) -> None:
    """AWS forbids it (Step Functions guide, "Variable scope"), and exempts no children of a Distributed Map."""
    outer, *inner = [_assigned(chain) for chain in chains(name)]
    assert all(not outer & names for names in inner)


def _assigned(chain: Chain) -> set[str]:
    return {name for state in chain.states.values() for way in state.ways() for name in way.rule.get("Assign", {})}


@each_state
def test_expressions_are_marked_well_and_parse(state: State) -> None:
    for text in strings({key: value for key, value in state.body.items() if key != "ItemProcessor"}):
        if "{%" in text or "%}" in text:
            # Terraform reads `{%{` as a directive, so there is a space; any space outside makes it plain text.
            assert re.fullmatch(r"\{% \S.*\S %\}", text), text
    for path, code in expressions(state.body):
        try:
            found = reads(code)
        except jsonata.JException as error:
            pytest.fail(f"{state}{path}: {error}")
        assert not found.bare, f"{state}{path} has no context item for {found.bare}"
        assert found.functions <= known_functions(), f"{state}{path}"


@each_state
def test_states_variable_is_read_where_it_has_the_member(state: State) -> None:
    for path, code in expressions(state.body):
        for member, *below in (read or ("all of it",) for read in reads(code).states):
            if member == "result":
                assert state.type in ("Task", "Map"), f"{state}{path}"
                assert path.startswith(("/Output", "/Assign")), f"{state}{path}"
            elif member == "errorOutput":
                assert path.startswith("/Catch/"), f"{state}{path}"
                assert below in (["Error"], ["Cause"]), f"{state}{path}"
            elif member == "context":
                assert below in _CONTEXT, f"{state}{path}"
            else:
                assert member == "input", f"{state}{path} reads $states.{member}"


@each_state
def test_cause_of_an_error_may_be_absent(state: State) -> None:
    """A time-out has no Cause. An undefined value fails the Catch, unless it is the operand of `&` or $type."""
    for path, code in expressions(state.body):
        if ("errorOutput", "Cause") in reads(code).states:
            assert "& $states.errorOutput.Cause" in code or "$type($states.errorOutput.Cause) = 'string' ?" in code, (
                path
            )


@each_task
def test_task_has_a_time_limit(state: State) -> None:
    limit = state.body.get("TimeoutSeconds")
    assert isinstance(limit, str) if services.call(state.body["Resource"]).callback else 0 < limit <= 960


@each_state
def test_catch_all_stands_alone_and_last(state: State) -> None:
    for field in ("Retry", "Catch"):
        for n, rule in enumerate(state.body.get(field, [])):
            assert len(set(rule["ErrorEquals"])) == len(rule["ErrorEquals"]) > 0
            if "States.ALL" in rule["ErrorEquals"]:
                assert rule["ErrorEquals"] == ["States.ALL"]
                assert n == len(state.body[field]) - 1


@each_state
def test_errors_of_services_have_the_names_of_step_functions(state: State) -> None:
    """DynamoDB says InternalServerError; Step Functions says InternalServerErrorException, as for every service."""
    for field in ("Retry", "Catch"):
        for name in (name for rule in state.body.get(field, []) for name in rule["ErrorEquals"]):
            service, _, error = name.partition(".")
            if service in ("Bedrock", "DynamoDB", "DynamoDb", "Sfn"):
                assert error.endswith("Exception"), name


@each_map
def test_map_runs_children_of_its_own(state: State) -> None:
    body = state.body
    assert re.fullmatch(r"[A-Za-z]{1,40}", body["Label"])
    assert "Retry" not in body, "it would run every item again"
    assert body["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert isinstance(body["MaxConcurrency"], str) or body["MaxConcurrency"] > 0
    assert ("Items" in body) == ("ItemReader" not in body) == ("ResultWriter" not in body)


@each_map
def test_map_reads_no_variable(state: State) -> None:
    """AWS: "Distributed Map states cannot currently reference variables in outer scopes". The local ones can."""
    for path, code in expressions(state.body):
        assert not reads(code).variables, f"{state}{path}"


@each_map_over_a_file
def test_map_reads_lines_and_writes_lines(state: State) -> None:
    body = state.body
    assert body["ItemReader"]["Resource"] == "arn:aws:states:::s3:getObject"
    assert body["ItemReader"]["ReaderConfig"] == {"InputType": "JSONL"}
    assert set(body["ItemReader"]["Arguments"]) == {"Bucket", "Key"}
    assert body["ResultWriter"]["Resource"] == "arn:aws:states:::s3:putObject"
    assert body["ResultWriter"]["WriterConfig"] == {"Transformation": "COMPACT", "OutputType": "JSONL"}
    assert set(body["ResultWriter"]["Arguments"]) == {"Bucket", "Prefix"}


def test_labels_and_result_folders_differ() -> None:
    assert len({state.body["Label"] for state in MAPS}) == len(MAPS)
    prefixes = [state.body["ResultWriter"]["Arguments"]["Prefix"] for state in MAPS if "Items" not in state.body]
    assert len(set(prefixes)) == len(prefixes)


def places_of_tokens() -> Iterator[str]:
    for state in all_states():
        for path, code in expressions(state.body):
            if any("task_token" in read or read == ("context", "Task", "Token") for read in reads(code).states):
                yield f"{state}{path}"


def test_task_token_is_nowhere_but_on_its_way() -> None:
    assert set(places_of_tokens()) == {
        "run/RunJobs: Wait for job/Arguments/ExpressionAttributeValues/:task_token/S",
        "job-event: Record event/Output/task_token",
        "job-event: Child waiting?/Choices/0/Condition",
        "job-event: Wake child/Arguments/TaskToken",
    }


@each_task
def test_item_that_may_hold_a_token_is_not_handed_on_whole(state: State) -> None:
    """An answer that no Output replaces travels on as the next state's input, and into logs."""
    if "ReturnValues" not in state.body["Arguments"]:
        return
    assert "Output" in state.body
    for path, code in expressions(state.body):
        for read in reads(code).states:
            assert read not in (("result",), ("result", "Attributes")), f"{state}{path}"
