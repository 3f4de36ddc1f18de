"""What can go wrong for a caller, each kind with the exit code of its commands."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    InfiniteLoopConfigError,
    InvalidConfigError,
    InvalidRegionError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)


class BatchError(Exception):
    """The root. Its text is a sentence for people; `exit_code` is what a command ends with."""

    exit_code = 5


class RunEndedBadly(BatchError):
    """The run that was waited for has failed, was stopped or ran out of time."""

    exit_code = 1


class Mistake(BatchError):
    """What was asked for cannot be done as it was asked for."""

    exit_code = 2


class NoPermission(BatchError):
    """AWS refuses the call: no credentials, expired ones, or a permission that is missing."""

    exit_code = 3


class NoCredentials(NoPermission):
    """AWS does not know who calls."""


class NotFound(BatchError):
    """There is no such installation, run, table or object."""

    exit_code = 4


class ServiceTrouble(BatchError):
    """AWS or the network failed; a later try may succeed."""

    exit_code = 5


_NO_CREDENTIALS = (
    CredentialRetrievalError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)
_WRONG_CONFIGURATION = (
    ConfigNotFound,
    ConfigParseError,
    InfiniteLoopConfigError,
    InvalidConfigError,
    InvalidRegionError,
    ProfileNotFound,
)
_REFUSED = re.compile(r"not authorized to perform:? (\S+)(?: on resource: (\S+))?")
_DENIED = {"403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "Forbidden", "UnauthorizedOperation"}
_BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_MISSING = {
    "404",
    "ExecutionDoesNotExist",
    "NoSuchBucket",
    "NoSuchKey",
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
}
_NOT_TAKEN = {"InvalidExecutionInput", "InvalidName", "ValidationException"}


@contextmanager
def calling(action: str, resource: str) -> Iterator[None]:
    """Turn what AWS or botocore says against a call into an error of this module.

    `action` and `resource` are those of IAM. They are named where the answer of AWS does not say what is missing.
    """
    try:
        yield
    except ClientError as err:
        raise _of_aws(err, action, resource) from err
    except _NO_CREDENTIALS as err:
        raise NoCredentials(f"There are no usable AWS credentials ({err}). Log in, or name a profile.") from err
    except NoRegionError as err:
        raise Mistake("No Region is set. Set the variable AWS_REGION, or name a Region or a profile.") from err
    except _WRONG_CONFIGURATION as err:
        raise Mistake(
            f"{str(err).removesuffix('.')}. Name another Region or profile, or mend the AWS configuration."
        ) from err
    except ParamValidationError as err:
        raise Mistake(str(err)) from err
    except BotoCoreError as err:
        raise ServiceTrouble(f"{action} got no answer: {err}") from err


def _of_aws(err: ClientError, action: str, resource: str) -> BatchError:
    code = str(err.response.get("Error", {}).get("Code", ""))
    text = str(err.response.get("Error", {}).get("Message", ""))
    named = _REFUSED.search(text)
    if named or code in _DENIED or (code.startswith("KMS.") and "Denied" in code):
        missing, on = (named[1], named[2] or resource) if named else (action, resource)
        return NoPermission(
            f"You may not do this: the permission {missing} on {on} is missing, or a policy denies it. The module's "
            "outputs client_policy_json (to follow runs) and start_policy_json (to start, stop and redrive them) have "
            "what is needed."
        )
    if code in _BAD_CREDENTIALS:
        return NoCredentials(f"AWS does not take your credentials ({code}: {text}). Log in again.")
    if code in _MISSING:
        return NotFound(f"{resource} does not exist ({code}).")
    if code in _NOT_TAKEN:
        return Mistake(f"{action} on {resource} is not possible: {code}: {text}")
    return ServiceTrouble(f"{action} on {resource} failed: {code}: {text}")
