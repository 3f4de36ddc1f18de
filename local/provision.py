"""Apply a Terraform root and destroy it again, with provider, data and state outside the source tree."""

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.process import environment

ROOT = Path(__file__).resolve().parent.parent
LOCAL_ROOT = ROOT / "local" / "terraform"
LAYER_LABEL = ROOT / "build" / "local" / "layer.json"
"""It says which architecture this machine has."""

ENGINE_PYTHON = ROOT / ".venv-engine" / "bin" / "python"

_MIRROR_PLACES = ("opt", "usr/share", "usr/local/share", "var/lib")


@dataclass(frozen=True, slots=True)
class Deployment:
    """A Terraform root applied to the local AWS at `url`; `work` holds its data and state."""

    root: Path
    work: Path
    url: str
    variables: Mapping[str, Any]

    def init(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        self._terraform("init", "-input=false")

    def apply(self, progress: Callable[[int, int], None] = lambda made, planned: None) -> dict[str, Any]:
        """Init and apply; return the outputs. `progress` is called with the numbers of resources made and planned."""
        made = planned = 0
        progress(made, planned)
        self.init()
        for event in self._events("apply", "-input=false", "-auto-approve", self._state(), *self._variables()):
            if event["type"] == "change_summary" and event["changes"]["operation"] == "plan":
                planned = event["changes"]["add"]
            made += event["type"] == "apply_complete" and event["hook"]["action"] == "create"
            progress(made, planned)
        outputs = json.loads(self._terraform("output", "-json", self._state()))
        return {name: output["value"] for name, output in outputs.items()}

    def pending_changes(self, *arguments: str) -> list[str]:
        """Return what a plan would change now, as `action address`; empty if nothing would change."""
        events = self._events("plan", "-input=false", self._state(), *self._variables(), *arguments)
        changes = [event["change"] for event in events if event["type"] == "planned_change"]
        return [
            f"{one['action']} {one['resource']['addr']}" for one in changes if one["action"] not in ("noop", "read")
        ]

    def destroy(self) -> None:
        """Destroy what the state has. Nobody else changes a local AWS, so nothing is read again before."""
        self.call("destroy", "-input=false", "-auto-approve", "-refresh=false")

    def call(self, command: str, *arguments: str) -> str:
        """Run another command on the initialised root; return what it printed."""
        return self._terraform(command, self._state(), *self._variables(), *arguments)

    def _state(self) -> str:
        return f"-state={self.work / 'terraform.tfstate'}"

    def _variables(self) -> Iterable[str]:
        path = self.work / "demo.tfvars.json"
        path.write_text(json.dumps({"endpoint_url": self.url, **self.variables}))
        return [f"-var-file={path}"]

    def _terraform(self, *arguments: str) -> str:
        """Run Terraform and return what it printed; an error carries all of it."""
        command = ["terraform", f"-chdir={self.root}", *arguments]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"terraform {arguments[0]} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def _events(self, action: str, *arguments: str) -> Iterator[dict[str, Any]]:
        """Run Terraform and yield its events as they happen. An error has Terraform's messages."""
        command = ["terraform", f"-chdir={self.root}", action, "-json", *arguments]
        complaints = []
        with subprocess.Popen(
            command, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout or ():
                try:
                    event = json.loads(line)
                except ValueError:
                    complaints.append(line)
                    continue
                if event["type"] == "diagnostic":
                    complaints.append(f"{event['@message']}\n{event['diagnostic'].get('detail', '')}\n")
                yield event
        if process.returncode:
            raise RuntimeError(f"terraform {action} failed:\n{''.join(complaints)[-8000:]}")

    def _environment(self) -> dict[str, str]:
        return (
            {"TF_CLI_ARGS": "-no-color"}
            | terraform_environment()
            | environment(self.url)
            | {"TF_DATA_DIR": str(self.work / "data")}
        )


def terraform_environment() -> dict[str, str]:
    """Return the process environment for Terraform: this machine's architecture, and its provider mirror if any.

    The environment's TF_CLI_ARGS_init is used first, then TF_PLUGIN_DIR, then a mirror in one of the usual places.
    Without a mirror, Terraform uses its registry.
    """
    variables = {name: value for name, value in os.environ.items() if name != "AWS_PROFILE"}
    variables |= {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    # Every command reads the schemas of all resources of AWS, in two programs written in Go. With the garbage collected
    # less often that takes a quarter less time, and 150 MB more memory.
    variables.setdefault("GOGC", "400")
    if not Path(variables.get("TF_CLI_CONFIG_FILE", "")).is_file():
        variables.pop("TF_CLI_CONFIG_FILE", None)  # If the file does not exist, Terraform warns on every call.
    mirror = variables.get("TF_PLUGIN_DIR") or find_mirror()
    if mirror:
        variables.setdefault("TF_CLI_ARGS_init", f"-plugin-dir={mirror}")
    if LAYER_LABEL.is_file():
        variables["TF_VAR_architecture"] = json.loads(LAYER_LABEL.read_text("utf-8"))["architecture"]
    return variables


def find_mirror() -> str | None:
    """Return a filesystem mirror that holds the AWS provider: `<mirror>/<host>/hashicorp/aws`."""
    places = [Path.home() / ".terraform.d", *(Path("/", place) for place in _MIRROR_PLACES)]
    for place in places:
        for provider in sorted(place.glob("*/*/hashicorp/aws")):
            return str(provider.parents[2])
    return None
