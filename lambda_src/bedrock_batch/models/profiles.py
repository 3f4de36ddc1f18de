"""Look up the model of an application inference profile: the profile's ARN does not contain it."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from bedrock_batch.models.catalogue import is_application_profile

_NOT_KNOWN = ("AccessDeniedException", "ResourceNotFoundException", "ValidationException")


def model_behind(bedrock: Callable[[], Any], model_id: str) -> tuple[str, list[str]]:
    """Return the ARN of the model that an application inference profile calls, and warnings. Other ids do not change.

    `bedrock` makes the client, because few runs need one. If the profile cannot be looked up, its ARN is returned:
    Bedrock will decide whether it can be used.
    """
    if not is_application_profile(model_id):
        return model_id, []
    try:
        profile = bedrock().get_inference_profile(inferenceProfileIdentifier=model_id)
    except ClientError as err:
        if err.response["Error"]["Code"] not in _NOT_KNOWN:
            raise
        return model_id, [f"The model of the inference profile {model_id} is not known: {err}"]
    # A profile lists the same model once for each Region.
    return str(profile["models"][0]["modelArn"]), []
