"""Service Quotas, which MiniStack lacks: the batch inference quotas of Bedrock, for the models named below.

The values are the limits that the Bedrock stand-in enforces.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_actions, router
from ministack.core.responses import get_account_id, get_region

from local.bedrock.config import GIBIBYTE, Config
from local.bedrock.service import Service

_TARGET = "ServiceQuotasV20190624."
_JOBS = "Sum of in-progress and submitted batch inference jobs using a base model for {}"
_CUSTOM_JOBS = "Sum of in-progress and submitted batch inference jobs using a custom model for {}"
_RECORDS_PER_JOB = "Records per batch inference job for {}"
_RECORDS_PER_FILE = "Records per input file per batch inference job for {}"
_MINIMUM = "Minimum number of records per batch inference job for {}"
_VALUES: dict[str, Callable[[Config], float]] = {
    _JOBS: lambda config: config.concurrent_jobs,
    _CUSTOM_JOBS: lambda config: config.concurrent_custom_jobs,
    _RECORDS_PER_JOB: lambda config: config.maximum_records_per_job,
    _RECORDS_PER_FILE: lambda config: config.maximum_records_per_file,
    _MINIMUM: lambda config: config.minimum_records,
    "Batch inference input file size (in GB) for {}": lambda config: config.maximum_file_bytes / GIBIBYTE,
    "Batch inference job size (in GB) for {}": lambda config: config.maximum_job_bytes / GIBIBYTE,
}
_ADJUSTABLE = (_JOBS, _RECORDS_PER_JOB, _RECORDS_PER_FILE)
# Labels as the quota names spell them, stray full stop included, and the codes that are known.
_CODES: dict[str, dict[str, str]] = {
    "Claude 3 Haiku": {_JOBS: "L-1570CF9E", _RECORDS_PER_JOB: "L-1F644C2A"},
    "Claude Haiku 4.5": {
        _JOBS: "L-63020993",
        _RECORDS_PER_JOB: "L-28612175",
        _RECORDS_PER_FILE: "L-9EDE6039",
    },
    "Claude Opus 5": {_JOBS: "L-16941C66", _RECORDS_PER_JOB: "L-5E3E0013", _RECORDS_PER_FILE: "L-55F225F6"},
    "Claude Sonnet 4.5": {
        _JOBS: "L-A0300844",
        _RECORDS_PER_JOB: "L-FFFEDD8D",
        _RECORDS_PER_FILE: "L-4DFF050E",
    },
    "Amazon Nova 2 Multimodal Embeddings V1": {_JOBS: "L-AF2A00BD", _RECORDS_PER_JOB: "L-7DCA4380"},
    "Nova 2 Lite": {_JOBS: "L-10F69CA1", _RECORDS_PER_JOB: "L-ECCE76C6", _RECORDS_PER_FILE: "L-4A832410"},
    "Nova Lite V1": {_JOBS: "L-E2ED42E6", _RECORDS_PER_JOB: "L-916C9264", _MINIMUM: "L-39FA8DCA"},
    "Nova Micro V1": {_JOBS: "L-564C017C", _RECORDS_PER_JOB: "L-57DC56A1", _MINIMUM: "L-534E6885"},
    "Nova Pro V1": {_JOBS: "L-FE130012", _RECORDS_PER_JOB: "L-89197AE6", _MINIMUM: "L-2A3EB975"},
    "Titan Multimodal Embeddings G1": {_JOBS: "L-7F2C6F33", _RECORDS_PER_JOB: "L-3BD2251E"},
    "Titan Text Embeddings V2": {_JOBS: "L-1AC1CABC", _RECORDS_PER_JOB: "L-AAC5F6D6"},
    "Llama 3.3 70B Instruct": {_JOBS: "L-FE24F76E", _RECORDS_PER_JOB: "L-E293C7C7"},
    "OpenAI GPT OSS 20b": {_JOBS: "L-50CC95A8", _RECORDS_PER_JOB: "L-F361DF0F", _MINIMUM: "L-5D07A961"},
    "OpenAI GPT OSS 120b": {_JOBS: "L-07844084", _RECORDS_PER_JOB: "L-3C5D1B25", _MINIMUM: "L-4B244563"},
    "Qwen3 32B": {_JOBS: "L-7B9A79C8", _RECORDS_PER_JOB: "L-DF5FF3C8"},
}
_CUSTOMIZABLE = ("Titan Multimodal Embeddings G1", "Titan Text Embeddings V2")
_STRAY_STOP = {("Claude Sonnet 4.5", _JOBS), ("Claude Sonnet 4.5", _MINIMUM)}


@dataclass(frozen=True, slots=True)
class _Refusal(Exception):
    name: str
    message: str


def install(app: Any, bedrock: Service) -> None:
    """Add the service to the engine; its values are the limits of `bedrock`."""
    iam_actions.SERVICE_TO_IAM_NAMESPACE["servicequotas"] = "servicequotas"
    # Without a pattern, the first request takes seconds: the router searches all of botocore for the service.
    router.SERVICE_PATTERNS["servicequotas"] = {
        "target_prefixes": ["ServiceQuotasV20190624"],
        "credential_scope": "servicequotas",
    }

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        operation = headers.get("x-amz-target", "").removeprefix(_TARGET)
        content = {"Content-Type": "application/x-amz-json-1.1"}
        try:
            answer = _answer(operation, json.loads(body or b"{}"), bedrock.settings.config)
        except _Refusal as refusal:
            error = {"__type": refusal.name, "message": refusal.message}
            return 400, content | {"x-amzn-ErrorType": refusal.name}, json.dumps(error).encode()
        return 200, content, json.dumps(answer).encode()

    app.SERVICE_HANDLERS["servicequotas"] = handle


def _answer(operation: str, request: dict[str, Any], applied: Config) -> dict[str, Any]:
    if request.get("ServiceCode") != "bedrock":
        raise _Refusal("NoSuchResourceException", "The local AWS knows the quotas of the service code bedrock alone.")
    default = operation in ("ListAWSDefaultServiceQuotas", "GetAWSDefaultServiceQuota")
    quotas = _quotas(applied, default=default)
    if operation == "ListServiceQuotas":
        # As on AWS, some quotas exist only among the defaults.
        return _page([quota for quota in quotas if quota["Adjustable"]], request)
    if operation == "ListAWSDefaultServiceQuotas":
        return _page(quotas, request)
    if operation in ("GetServiceQuota", "GetAWSDefaultServiceQuota"):
        for quota in quotas:
            if quota["QuotaCode"] == request.get("QuotaCode"):
                return {"Quota": quota}
        raise _Refusal("NoSuchResourceException", f"There is no quota {request.get('QuotaCode')}.")
    raise _Refusal("ServiceException", f"The local AWS has no {operation or 'operation of that name'}.")


def _quotas(applied: Config, *, default: bool) -> list[dict[str, Any]]:
    """Return all quotas. Adjustable ones have a separate default; for the others, the enforced value is returned."""
    quotas = []
    for label, codes in _CODES.items():
        for name, value in _VALUES.items():
            if name == _CUSTOM_JOBS and label not in _CUSTOMIZABLE:
                continue
            code = codes.get(name) or f"L-{zlib.crc32(name.format(label).encode()):08X}"
            adjustable = name in _ADJUSTABLE
            quotas.append(
                {
                    "ServiceCode": "bedrock",
                    "ServiceName": "Amazon Bedrock",
                    "QuotaArn": f"arn:aws:servicequotas:{get_region()}:{get_account_id()}:bedrock/{code}",
                    "QuotaCode": code,
                    "QuotaName": name.format(label) + ("." if (label, name) in _STRAY_STOP else ""),
                    "Value": float(value(Config() if default and adjustable else applied)),
                    "Unit": "None",
                    "Adjustable": adjustable,
                    "GlobalQuota": False,
                }
            )
    return quotas


def _page(quotas: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    size = int(request.get("MaxResults") or 100)
    start = int(request.get("NextToken") or 0)
    page = {"Quotas": quotas[start : start + size]}
    return page | ({"NextToken": str(start + size)} if start + size < len(quotas) else {})
