"""Build the request that creates a job."""

from typing import Any

from bedrock_batch import keys
from bedrock_batch.contracts.run import Run


def create_job(run: Run, *, job_name: str, input_key: str) -> dict[str, Any]:
    """Return the arguments of `aws-sdk:bedrock:createModelInvocationJob`, in Step Functions' PascalCase.

    If records refer to objects, the input is the folder with the objects and the file, not the file itself.
    `ModelInvocationType` is left out if it is Bedrock's default, because Step Functions supports newer members late.
    """
    own_tags = {"bedrock-batch:name": run.name, "bedrock-batch:run": run.run_id}
    source = keys.folder_of(input_key) if run.own_folders else input_key
    output: dict[str, Any] = {"S3Uri": f"s3://{run.bucket}/{run.keys.raw(job_name)}"}
    if run.kms_key_arn:
        output["S3EncryptionKeyId"] = run.kms_key_arn
    request = {
        "JobName": job_name,
        "ClientRequestToken": keys.client_request_token(job_name),
        "RoleArn": run.service_role_arn,
        "ModelId": run.model_id,
        "InputDataConfig": {"S3InputDataConfig": {"S3InputFormat": "JSONL", "S3Uri": f"s3://{run.bucket}/{source}"}},
        "OutputDataConfig": {"S3OutputDataConfig": output},
        "TimeoutDurationInHours": run.limits["job_timeout_hours"],
        "Tags": [{"Key": key, "Value": value} for key, value in sorted((run.tags | own_tags).items())],
    }
    if run.network:
        subnets, groups = run.network["subnet_ids"], run.network["security_group_ids"]
        request["VpcConfig"] = {"SubnetIds": subnets, "SecurityGroupIds": groups}
    if run.invocation_type != "InvokeModel":
        request["ModelInvocationType"] = run.invocation_type
    return request
