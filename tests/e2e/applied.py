"""The root that the end-to-end tests apply: local/terraform, through pytest-terraform."""

from pytest_terraform import terraform

terraform("terraform", scope="session", replay=False)
APPLIED = terraform.get_fixture("terraform")
