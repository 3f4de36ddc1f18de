"""A stand-in for Bedrock: batch inference jobs and on-demand calls, put into MiniStack's place for both.

Every other operation of Bedrock stays MiniStack's. `local/README.md` has the settings.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.bedrock.service import Service


def install(app: Any) -> "Service":
    """Put the stand-in into the engine. Returns it, for Service Quotas to read its settings."""
    # Here, not above: tests read `models` and `replies` with an interpreter that has no MiniStack.
    from local.bedrock import access, http
    from local.bedrock.service import Service

    service = Service()
    access.install(lambda model_id: service.profiles.behind(model_id))
    http.install(app, service)
    return service
