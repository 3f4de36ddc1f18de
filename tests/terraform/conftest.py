"""The provider that these tests use."""

from collections.abc import Iterator

import pytest

from tests.provider import running_provider


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A running AWS provider. The tests mock it, but Terraform still asks it for its schemas and checks arguments."""
    with running_provider(tmp_path_factory.mktemp("provider"), {}):
        yield
