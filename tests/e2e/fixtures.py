"""One local AWS and one applied module for all tests of a process; tests/conftest.py makes them known to pytest."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import demo
from local.process import Engine, environment, start_engine
from local.provision import LOCAL_ROOT, Deployment, terraform_environment
from tests.e2e.batch import Batch, client
from tests.e2e.neighbour import NEIGHBOUR, Neighbour
from tests.provider import running_provider

PROMPT = 'Judge this {product}: {review} ({{"sentiment": "…"}})'
PROMPTS = {
    "sentiment": PROMPT,
    "joke_about_topic": "Joke about {topic}",
    "review": demo.PROMPT,
    "judge": "Judge {review} of {id}",
}
MODELS = [
    "amazon.nova-lite-v1:0",
    "amazon.titan-embed-text-v2:0",
    "us.anthropic.claude-3-5-haiku-20241022-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "openai.gpt-oss-20b-1:0",
]


RESERVED = {
    "plan_run": 2,
    "prepare_shard": 2,
    "review_run": 2,
    "gather_leftovers": 2,
    "pool_leftovers": 2,
    # Waits between throttled calls are much shorter here, but a chunk of slow answers takes as long as always.
    "answer_on_demand": 8,
    "join_shard": 2,
    "finish_run": 2,
}
"""Concurrent calls of functions. Each needs a process here, so few are allowed; others are throttled, as on AWS."""


NETWORK = {"subnet_ids": ["subnet-00000001", "subnet-00000002"], "security_group_ids": ["sg-00000001"], "jobs": True}
"""Of the VPC that every account has."""


@pytest.fixture(scope="session")
def engine(engine_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with start_engine(python=engine_python, auth=True, log=tmp_path_factory.mktemp("engine") / "engine.log") as running:
        running.configure(seconds_per_status=0.2)
        # Step Functions' pauses and retries, not its time-outs, run 20 times as fast.
        running.wait_scale(0.05)
        yield running


@pytest.fixture(scope="session")
def profile(engine: Engine) -> str:
    """The ARN of an application inference profile of Titan embeddings, which is one of the module's models."""
    model = "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0"
    made = client(engine, "bedrock").create_inference_profile(
        inferenceProfileName="e2e", modelSource={"copyFrom": model}
    )
    return str(made["inferenceProfileArn"])


@pytest.fixture(scope="session")
def provider(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A running AWS provider that finds the local AWS."""
    with running_provider(tmp_path_factory.mktemp("provider"), environment(engine.url)):
        yield


@pytest.fixture(scope="session")
def terraform_points_here(engine: Engine, provider: None, profile: str) -> Iterator[None]:
    """Terraform, started by the `module` fixture, finds the local AWS and its provider."""
    before = dict(os.environ)
    os.environ.update(terraform_environment() | environment(engine.url))
    os.environ.pop("TF_CLI_CONFIG_FILE", None)
    os.environ.update(
        {
            "TF_VAR_endpoint_url": engine.url,
            "TF_VAR_name": "e2e",
            "TF_VAR_models": json.dumps([*MODELS, profile]),
            "TF_VAR_prompts": json.dumps(PROMPTS),
            "TF_VAR_functions": json.dumps({"reserved_concurrency": RESERVED}),
            "TF_VAR_network": json.dumps(NETWORK),
            "TF_VAR_encrypted": "true",
        }
    )
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def module(request: pytest.FixtureRequest, terraform_points_here: None, tmpdir_factory: Any) -> Any:
    """local/terraform, applied by pytest-terraform. It goes when the engine ends: test_lifecycle.py destroys one.

    Its decorator must be called while a module is imported, and after the plugin is configured. This file is imported
    earlier, so the decorator is in its own module.
    """
    from tests.e2e.applied import APPLIED

    return APPLIED(request, tmpdir_factory, worker_id="master")


@pytest.fixture(scope="session")
def batch(engine: Engine, module: Any) -> Batch:
    return Batch(engine, {name: output["value"] for name, output in module.outputs.items()})


@pytest.fixture(scope="session")
def neighbour(
    engine: Engine, terraform_points_here: None, batch: Batch, tmp_path_factory: pytest.TempPathFactory
) -> Neighbour:
    """A second installation in the bucket of the first. Its prompts have the same ids and other texts."""
    variables = {
        "name": NEIGHBOUR,
        "models": MODELS,
        "prompts": {prompt_id: text.replace("Judge", "Weigh") for prompt_id, text in PROMPTS.items()},
        "functions": {"reserved_concurrency": RESERVED},
        "bucket": {"name": batch.bucket, "prefix": "teams/"},
        "inputs": {"locations": [f"s3://{batch.bucket}/datasets/"]},
        "network": None,
        "encrypted": False,
    }
    return Neighbour(engine, Deployment(LOCAL_ROOT, tmp_path_factory.mktemp("neighbour"), engine.url, variables))
