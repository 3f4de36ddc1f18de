"""The root that the end-to-end tests apply: local/terraform, through pytest-terraform."""

import pytest_terraform

# It puts a fixture of this name into the calling module, so `terraform` itself must not be a name here. fixtures.py
# keeps what it returns for the session. With that scope here, pytest-terraform would apply the module once for all
# processes, but each of them has a local AWS of its own.
pytest_terraform.terraform(
    "terraform", scope="function", replay=False, teardown=pytest_terraform.terraform.TEARDOWN_OFF
)
APPLIED = pytest_terraform.terraform.get_fixture("terraform")
