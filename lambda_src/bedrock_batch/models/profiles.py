"""Look up what is behind an application inference profile: its ARN does not name its model."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from bedrock_batch.models.catalogue import is_application_profile

_NOT_TOLD = ("AccessDeniedException", "ResourceNotFoundException", "ValidationException")


def model_behind(bedrock: Callable[[], Any], model_id: str) -> tuple[str, list[str]]:
    """Return the ARN of the model that an application inference profile calls, and warnings; any other id as it is.

    `bedrock` makes the client, which few runs need. A profile that cannot be looked up stays as it is: whether it can
    be used is for Bedrock to say.
    """
    if not is_application_profile(model_id):
        return model_id, []
    try:
        profile = bedrock().get_inference_profile(inferenceProfileIdentifier=model_id)
    except ClientError as err:
        if err.response["Error"]["Code"] not in _NOT_TOLD:
            raise
        return model_id, [f"Which model is behind {model_id} is not known: {err}"]
    # The same model in each Region that the profile calls.
    return str(profile["models"][0]["modelArn"]), []
