"""The state machines as data: their files, chains of states, ways from state to state, and expressions."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.name.removesuffix(".asl.json"): path for path in sorted((ROOT / "asl").glob("*.asl.json"))}
CHILDREN = {("run", "Run jobs"): "job"}
"""Maps whose children are in a separate file. In the Map's file, one state is a placeholder for them."""
MACHINES = [name for name in FILES if name not in CHILDREN.values()]
"""The deployed machines."""
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
RUN_TIMEOUT_SECONDS = 76 * 86400
ACCOUNT, REGION, TABLE = "000000000000", "us-east-1", "inventory"

Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Way:
    """A transition from a state: `kind` is next, end, choice <n>, default or catch <n>; `rule` has its Assign."""

    source: "State"
    kind: str
    target: str | None
    rule: Json


@dataclass(frozen=True, eq=False)
class State:
    """A state and its chain: the machine's name; for the states of a Map's children, the Map's label follows."""

    chain: str
    name: str
    body: Json

    @property
    def type(self) -> str:
        return str(self.body.get("Type"))

    def ways(self) -> list[Way]:
        """Return every transition, in the order in which they are tried."""
        found = [
            Way(self, f"{kind} {n}", rule.get("Next"), rule)
            for kind, field in (("choice", "Choices"), ("catch", "Catch"))
            for n, rule in enumerate(self.body.get(field, []))
        ]
        if "Default" in self.body:
            found.append(Way(self, "default", self.body["Default"], self.body))
        if self.type != "Choice":
            ends = self.body.get("End") or self.type in ("Succeed", "Fail")
            found.append(Way(self, "end" if ends else "next", None if ends else self.body.get("Next"), self.body))
        return found

    def retriers(self) -> list[Json]:
        return list(self.body.get("Retry", []))

    def __str__(self) -> str:
        return f"{self.chain}: {self.name}"


@dataclass(frozen=True, eq=False)
class Chain:
    """States that share variables: a whole machine, or the processor of a Distributed Map."""

    name: str
    start: str
    states: dict[str, State]


@cache
def definition(name: str) -> Json:
    """Return the content of a file, placeholders and all."""
    parsed: Json = json.loads(FILES[name].read_text())
    return parsed


@cache
def filled_in(name: str) -> Json:
    """Return the content of a file with its placeholders filled in."""
    parsed: Json = json.loads(PLACEHOLDER.sub(lambda found: value(found[1]), FILES[name].read_text()))
    return parsed


@cache
def rendered(name: str) -> Json:
    """Return a machine as it is deployed: `terraform/definitions.tf` puts it together in the same way."""
    states = dict(filled_in(name)["States"])
    for (machine, state), file in CHILDREN.items():
        if machine == name:
            child = {key: filled_in(file)[key] for key in ("StartAt", "States")}
            states[state] = states[state] | {"ItemProcessor": states[state]["ItemProcessor"] | child}
    timeout = {"TimeoutSeconds": RUN_TIMEOUT_SECONDS} if name == "run" else {}
    return filled_in(name) | timeout | {"States": states}


def value(placeholder: str) -> str:
    """Return the tests' value for a placeholder."""
    if placeholder.endswith("_function_arn"):
        function = placeholder.removesuffix("_function_arn").replace("_", "-")
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bedrock-batch-{function}"
    known = {
        "partition": "aws",
        "inventory_table_name": TABLE,
        "inventory_retention_seconds": "7776000",
        "shard_concurrency": "40",
        "bucket_name": "runs-bucket",
        "root": "reviews",
        "name": "reviews",
        "metrics_namespace": "BedrockBatch",
    }
    return known[placeholder]


@cache
def chains(name: str) -> list[Chain]:
    """Return the machine's own chain, then those of its Maps' children."""
    return list(_chains(name, rendered(name)))


def _chains(name: str, machine: Json) -> Iterator[Chain]:
    states = {state: State(name, state, body) for state, body in machine["States"].items()}
    yield Chain(name, machine["StartAt"], states)
    for state in states.values():
        if "ItemProcessor" in state.body:
            yield from _chains(f"{name}/{state.body.get('Label', state.name)}", state.body["ItemProcessor"])


def all_chains() -> list[Chain]:
    return [chain for name in MACHINES for chain in chains(name)]


def all_states() -> list[State]:
    return [state for chain in all_chains() for state in chain.states.values()]


def tasks() -> list[State]:
    return [state for state in all_states() if state.type == "Task"]


def expressions(template: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the code of each `{% … %}` in a template; the states of a Map's children are not in it."""
    if isinstance(template, str) and template.startswith("{%") and template.endswith("%}"):
        yield path, template[2:-2]
    elif isinstance(template, dict):
        for key, value in template.items():
            if key != "ItemProcessor":
                yield from expressions(value, f"{path}/{key}")
    elif isinstance(template, list):
        for n, value in enumerate(template):
            yield from expressions(value, f"{path}/{n}")


def strings(template: Any) -> Iterator[str]:
    """Yield every string of a JSON value, keys included."""
    if isinstance(template, str):
        yield template
    elif isinstance(template, dict):
        for key, value in template.items():
            yield key
            yield from strings(value)
    elif isinstance(template, list):
        for value in template:
            yield from strings(value)
