"""The root that the end-to-end tests apply: local/terraform, through pytest-terraform."""

import pytest_terraform

# It puts a fixture of this name into the calling module, so `terraform` itself must not be a name here.
pytest_terraform.terraform("terraform", scope="session", replay=False, teardown=pytest_terraform.terraform.TEARDOWN_OFF)
APPLIED = pytest_terraform.terraform.get_fixture("terraform")
