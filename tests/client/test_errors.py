"""What AWS says against a call becomes one sentence and one exit code."""

import pytest
from botocore import exceptions
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from bedrock_batch_client import errors
from tests.client.fakes import error

ARN = "arn:aws:states:us-east-1:1:stateMachine:reviews-run"


@pytest.mark.parametrize(
    ("code", "message", "kind", "words"),
    [
        (
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/p is not authorized to perform: states:StartExecution on resource: "
            f"{ARN} because no identity-based policy allows it",
            errors.NoPermission,
            ["states:StartExecution", ARN],
        ),
        ("AccessDenied", "Access Denied", errors.NoPermission, ["s3:GetObject", "arn:of:object"]),
        ("403", "Forbidden", errors.NoPermission, ["s3:GetObject", "arn:of:object"]),
        ("KMS.AccessDeniedException", "no", errors.NoPermission, ["s3:GetObject"]),
        ("ExpiredToken", "The token has expired", errors.NoPermission, ["Log in again"]),
        ("NoSuchKey", "", errors.NotFound, ["arn:of:object"]),
        ("ThrottlingException", "Rate exceeded", errors.ServiceTrouble, ["s3:GetObject", "Rate exceeded"]),
        ("InternalError", "", errors.ServiceTrouble, ["s3:GetObject"]),
    ],
)
def test_an_answer_of_aws(code: str, message: str, kind: type[errors.BatchError], words: list[str]) -> None:
    with pytest.raises(kind) as raised, errors.calling("s3:GetObject", "arn:of:object"):
        raise error("GetObject", code, message)
    assert all(word in str(raised.value) for word in words)


@pytest.mark.parametrize(
    "lost", [EndpointConnectionError(endpoint_url="https://s3"), ReadTimeoutError(endpoint_url="https://s3")]
)
def test_no_answer_at_all(lost: Exception) -> None:
    with pytest.raises(errors.ServiceTrouble, match="s3:GetObject got no answer"), errors.calling("s3:GetObject", "x"):
        raise lost


def test_every_kind_has_an_exit_code_of_its_own() -> None:
    kinds = errors.BatchError.__subclasses__()
    assert sorted(kind.exit_code for kind in kinds) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (exceptions.SSOTokenLoadError(profile_name="p", error_msg="it has expired"), errors.NoCredentials),
        (exceptions.UnauthorizedSSOTokenError(), errors.NoCredentials),
        (exceptions.LoginRefreshRequired(), errors.NoCredentials),
        (exceptions.CredentialRetrievalError(provider="process", error_msg="no"), errors.NoCredentials),
        (exceptions.ConfigParseError(path="config"), errors.Mistake),
        (exceptions.InvalidConfigError(error_msg="no source"), errors.Mistake),
        (error("GetItem", "MissingAuthenticationTokenException"), errors.NoCredentials),
        (error("StartExecution", "InvalidExecutionInput", "no"), errors.Mistake),
        (error("GetItem", "ValidationException", "the table has other keys"), errors.Mistake),
    ],
    ids=lambda one: type(one).__name__,
)
def test_credentials_and_mistakes_are_not_trouble_of_aws(said: Exception, kind: type[errors.BatchError]) -> None:
    with pytest.raises(kind), errors.calling("s3:GetObject", "x"):
        raise said
