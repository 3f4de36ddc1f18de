"""Start the local AWS in the foreground: `python -m local.engine`, from the root of the repository.

`GATEWAY_PORT` sets the port (4566), `AUTH=true` switches IAM enforcement on. Programs start it through
`local.process`, which adds `--with-parent`: the engine then ends when its standard input closes, so that it also ends
when its parent is killed.
"""

import os
import shutil
import signal
import sys
import tempfile
import threading
from importlib.metadata import PackageNotFoundError, version

# The repairs replace private functions of MiniStack, so they fit only this version.
MINISTACK_VERSION = "1.5.33"


def main() -> None:
    """Check the version of MiniStack, install the repairs and serve until stopped."""
    os.environ.setdefault("BIND_HOST", "127.0.0.1")  # MiniStack's own default is every interface
    _check_version()
    heed_parent()

    from ministack import app

    from local import (
        alarms,
        bedrock,
        faults,
        iam_ext,
        lambda_ext,
        lambda_versions,
        one_write,
        quotas,
        step_functions,
        table_policies,
        tls,
        vpc,
    )

    stand_in = bedrock.install(app)
    step_functions.install(app)
    lambda_ext.install(app)
    lambda_versions.install()
    vpc.install()
    iam_ext.install(app)
    table_policies.install(app)
    alarms.install()
    tls.install(app)
    one_write.install()
    quotas.install(app, stand_in)
    faults.install(app)
    app.main()


def heed_parent() -> None:
    """With the argument `--with-parent`, remove that argument, and end this process when its parent ends."""
    if "--with-parent" in sys.argv:
        sys.argv.remove("--with-parent")  # MiniStack reads the same list of arguments.
        threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _check_version() -> None:
    try:
        installed = version("ministack")
    except PackageNotFoundError:
        sys.exit(f"ministack is not installed in {sys.executable}. Run `make setup`.")
    if installed != MINISTACK_VERSION:
        sys.exit(
            f"The repairs in local/ fit ministack {MINISTACK_VERSION}; {sys.executable} has {installed}. "
            "Run `make setup`. For an upgrade, see that tests/local pass and change MINISTACK_VERSION."
        )


def _end_with_parent() -> None:
    """Wait until the parent closes our standard input, then end this process and its Lambda workers."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)  # made for this engine by `local.process`
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
