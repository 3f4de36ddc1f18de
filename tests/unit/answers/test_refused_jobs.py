"""Why a job did nothing, from its status and Bedrock's message. The messages are real, as far as they are known."""

import pytest

from bedrock_batch.answers.refused_jobs import is_refusal, lacks_permission
from bedrock_batch.contracts.lines import NOT_CREATED, TERMINAL_STATUSES, JobEnd

PERMISSIONS = [
    "Customer doesn't have permissions to invokeModel",
    "Could not validate ListBucket permissions for S3URI s3://reviews/work/in/",
    "Could not validate GetObject permissions to access Amazon S3 bucket: runs at key in/00000.jsonl",
    "Amazon S3 perms missing (PutObject): Could not validate PutObject permissions to access S3 bucket: runs",
    "Could not assume provided IAM role. Please verify that the provided role exists and has a trust policy",
    "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: iam:PassRole on resource: r because no policy",
    "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: kms:Decrypt on this resource",
    "Model access is denied due to IAM user or service role is not authorized to perform the required AWS Marketplace "
    "actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable access to this model.",
    "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided.",
    "You don't have access to the model with the specified model ID.",
    "Model use case details have not been submitted for this account. Fill out the Anthropic use case details form",
    "The ciphertext refers to a customer master key that does not exist, or you are not allowed to access.",
    "arn:aws:kms:us-east-1:1:key/0a1b is disabled.",
    "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied",
    "Your account is not authorized to perform this action. Please create a support case",
    "the role may not read the bucket",
    # The local AWS
    "The role arn:aws:iam::1:role/r lacks s3:GetObject on arn:aws:s3:::reviews/work/in/00000.jsonl",
    "The role arn:aws:iam::1:role/r does not trust bedrock.amazonaws.com for this job: check its trust policy",
    "The role arn:aws:iam::1:role/r does not exist",
]
OF_THE_RECORDS = [
    "Batch job contains less records (1) than the required minimum of: 100",
    "Batch inference is not supported for the requested model",
    "The provided model identifier is invalid.",
    "Malformed input request: extraneous key [maxTokens] is not permitted, please reformat your input and try again.",
    "Malformed input request: required key [messages] does not exist",
    "Unable to parse Amazon S3 file: a.jsonl. Data files must conform to JSONL format.",
    "Input size exceeded in file a.jsonl for record starting with...",
    "The value of temperature is not allowed",
    "The file is missing the permissible extension",
    "",
]
BEDROCKS_OWN = [
    "Encountered an unexpected error when processing the request, please try again",
    "Internal server error",
    "InternalServerException",
    "Service is unavailable",
    "The model is temporarily unavailable",
    "Throttled by the service",
]
INVALID = ("ValidationException", "ResourceNotFoundException")


def failed(message: str, processed: int | None = 0) -> JobEnd:
    return JobEnd("job", "Failed", "raw/job/", message, processed=processed)


def not_created(code: str, message: str) -> JobEnd:
    return JobEnd("job", NOT_CREATED, "raw/job/", f"{code}: {message}", processed=0)


@pytest.mark.parametrize("message", PERMISSIONS)
def test_a_permission_is_known_by_the_message(message: str) -> None:
    ends = [failed(message), *(not_created(f"Bedrock.{code}", message) for code in INVALID)]
    assert all(lacks_permission(end) and not is_refusal(end) for end in ends)


@pytest.mark.parametrize("code", ["Bedrock.AccessDeniedException", "DynamoDB.AccessDeniedException"])
def test_a_permission_is_known_by_the_error(code: str) -> None:
    assert lacks_permission(not_created(code, "null"))
    assert not is_refusal(not_created(code, "null"))


@pytest.mark.parametrize("message", OF_THE_RECORDS)
def test_what_the_records_or_the_request_are_is_a_refusal(message: str) -> None:
    ends = [failed(message), *(not_created(f"Bedrock.{code}", message) for code in INVALID)]
    assert all(is_refusal(end) and not lacks_permission(end) for end in ends)


@pytest.mark.parametrize("message", BEDROCKS_OWN)
def test_an_error_of_bedrocks_own_is_neither(message: str) -> None:
    assert not is_refusal(failed(message))
    assert not lacks_permission(failed(message))


@pytest.mark.parametrize("processed", [1, 100, None])
def test_a_job_that_processed_records_or_may_have_is_no_refusal(processed: int | None) -> None:
    assert not is_refusal(failed("bad", processed))


@pytest.mark.parametrize("status", [status for status in TERMINAL_STATUSES if status != "Failed"])
def test_a_job_that_ended_otherwise_says_nothing_of_its_records(status: str) -> None:
    end = JobEnd("job", status, "raw/job/", PERMISSIONS[0], processed=0)
    assert not is_refusal(end)
    assert not lacks_permission(end)


@pytest.mark.parametrize(
    "message",
    [
        "Bedrock.ThrottlingException: slow (and Bedrock lists no job of this name)",
        "Bedrock.ServiceQuotaExceededException: the quota is reached (and Bedrock lists no job of this name)",
        "Bedrock.ConflictException: taken (and Bedrock lists no job of this name)",
        "Bedrock.InternalServerException: down (and Bedrock lists no job of this name)",
        "States.Timeout: null (and Bedrock lists no job of this name)",
        "States.QueryEvaluationError: '$states.result.JobArn' returned nothing (and Bedrock lists no job of this name)",
        "DynamoDB.ThrottlingException: slow",
        "PoolIncomplete: gone",
        "the run was stopped",
    ],
)
def test_a_job_that_was_not_created_for_another_reason_is_neither(message: str) -> None:
    end = JobEnd("job", NOT_CREATED, "raw/job/", message, processed=0)
    assert not is_refusal(end)
    assert not lacks_permission(end)
