"""Every end-to-end test begins without faults."""

import pytest

from local.process import Engine


@pytest.fixture(autouse=True)
def no_faults(engine: Engine) -> None:
    engine.configure(faults=[])
    engine.fail([])
