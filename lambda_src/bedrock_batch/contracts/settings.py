"""The settings that the Terraform module writes for its functions: `config/settings.json`."""

from dataclasses import dataclass, field
from typing import Any

from bedrock_batch.contracts.shape import Shape
from bedrock_batch.contracts.version import check_document


@dataclass(frozen=True, slots=True)
class Settings(Shape):
    """The module's variables and resources that planning needs. terraform/storage.tf writes them."""

    contract: int
    name: str
    root: str
    models: list[str]
    prompts: dict[str, str]
    service_role_arn: str
    work_days: int
    kms_key_arn: str | None = None
    network: dict[str, list[str]] | None = None
    """Where Bedrock's jobs reach S3: `subnet_ids` and `security_group_ids`. None: by Bedrock's own network."""
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Any) -> "Settings":
        """Return the settings. Raises ContractMismatch if another version of the module wrote them."""
        check_document(document, "The module's settings.json", "Apply the module again, then start a new run.")
        return cls.from_json(document)
