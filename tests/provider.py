"""One process of Terraform's AWS provider for all tests of a session.

Terraform starts a provider for each step of each command (validate, plan, apply), and for each run of `terraform test`.
The AWS provider takes a second of CPU time to start, so the starts were half of the time of all tests of the module. If
TF_REATTACH_PROVIDERS names a provider that already runs, Terraform connects to it, and starts and stops nothing.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.provision import ROOT, terraform_environment

# The shell ends the provider when its standard input closes, so also when pytest is killed.
_BOTH = '"$0" -debug </dev/null & read -r _; kill $!; wait'


@contextmanager
def running_provider(folder: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Install the provider with `terraform init`, in `folder`, start it, and have Terraform use it until the end.

    `variables` are the provider's environment: it does not see the one of the Terraform that connects to it.
    """
    shutil.copy(ROOT / "terraform" / "versions.tf", folder)
    environment = {**terraform_environment(), **variables, "TF_DATA_DIR": str(folder / "data")}
    command = ["terraform", f"-chdir={folder}", "init", "-input=false", "-no-color"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # With it, the provider fails when a second command configures it. The local AWS has no certificate.
    environment.pop("AWS_CA_BUNDLE", None)
    (program,) = folder.glob("data/providers/*/hashicorp/aws/*/*/terraform-provider-aws_*")
    with subprocess.Popen(
        ["sh", "-c", _BOTH, str(program)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as shell:
        assert shell.stdin and shell.stdout
        said = re.search(r"TF_REATTACH_PROVIDERS='(.*)'", next(line for line in shell.stdout if "='" in line))
        assert said
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TF_REATTACH_PROVIDERS", said[1])
            yield
        shell.stdin.close()
