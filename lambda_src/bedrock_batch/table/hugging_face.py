"""Datasets of the Hugging Face hub: find the Parquet files of a split, and read ranges of their bytes.

Planning pins the files to a commit. Prepare shard reads them from that commit.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from httpx2 import HTTPError
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

from bedrock_batch.aws import clients
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import HubUnavailable, InputChanged, InputNotFound, InvalidRunInput
from bedrock_batch.table import hub_card
from bedrock_batch.table.hub_card import Splits

_CONVERTED = "refs/convert/parquet"
"""The revision with the files that the hub converted from the main branch: <config>/<split>/0000.parquet."""

_PARTIAL = "partial-"
"""Begins the name of a split's folder if the hub has converted only the split's first gigabytes."""

_TIMEOUT_SECONDS = 60


class Hub:
    """Reads the hub, with a user's token or without one. `endpoint` is the URL of the hub or of a mirror."""

    def __init__(self, *, token: str | None = None, endpoint: str | None = None) -> None:
        # False: without it, the library would use a token that it finds on the machine.
        self._token = token or False
        self._endpoint = endpoint
        self._api = HfApi(token=self._token, endpoint=endpoint)

    def find(self, dataset: str, *, config: str | None, split: str, revision: str | None) -> list[Source]:
        """Return the Parquet files of a split, in table order, pinned to the present commit of `revision`.

        These are the repository's own files if its card names them, or else the files that the hub converted. Their
        `rows` are 0.

        Raises:
            InputNotFound: no such dataset, config, split or revision; the message names what exists.
            InvalidRunInput: the dataset has several configs, and `config` is None.
            HubUnavailable: the hub does not answer; the next call may succeed.
        """
        with _refusals(dataset, revision):
            info = self._api.dataset_info(dataset, revision=revision, timeout=_TIMEOUT_SECONDS)
            sizes = self._sizes(dataset, str(info.sha))
        card = hub_card.configs(info.card_data.get("configs") if info.card_data else None)
        config = hub_card.chosen(dataset, card, config)
        declared = hub_card.splits(dataset, card, sorted(sizes))
        # For a config without patterns, the hub's library guesses the files. The converted files are that guess.
        if declared and (config in declared or config not in card):
            paths = _choose(dataset, declared, config, split)
            if paths and all(path.lower().endswith(".parquet") for path in paths):
                return [_source(dataset, str(info.sha), path, sizes[path]) for path in paths]
        if revision not in (None, "main"):
            raise InputNotFound(
                f"{dataset} at revision {revision!r}: its card names no Parquet files for the split {split!r}, and the "
                "hub converts only the main branch. Remove revision, or put the split's files on S3 and give their "
                "s3_uri."
            )
        return self._converted(dataset, config=config, split=split)

    def read(self, file: Source, start: int, end: int) -> bytes:
        """Return bytes [start, end) of a file. Raises InputChanged if its commit no longer exists."""
        if start >= end:
            return b""
        url = hf_hub_url(file.dataset, file.key, repo_type="dataset", revision=file.revision, endpoint=self._endpoint)
        headers = {**build_hf_headers(token=self._token), "Range": f"bytes={start}-{end - 1}"}
        try:
            with _refusals(file.dataset, file.revision):
                answer = http_backoff("GET", url, headers=headers, timeout=_TIMEOUT_SECONDS)
                hf_raise_for_status(answer)
        except InputNotFound as err:
            raise InputChanged(f"{file.uri} could be read when the run was planned. Now: {err.fact}") from err
        data: bytes = answer.content
        if len(data) != end - start:
            raise HubUnavailable(f"{file.uri}: the hub sent {len(data)} bytes, not the {end - start} requested.")
        return data

    def _sizes(self, dataset: str, revision: str) -> dict[str, int]:
        tree = self._api.list_repo_tree(dataset, recursive=True, revision=revision, repo_type="dataset")
        return {item.path: item.size for item in tree if isinstance(item, RepoFile)}

    def _converted(self, dataset: str, *, config: str | None, split: str) -> list[Source]:
        try:
            with _refusals(dataset, _CONVERTED):
                revision = str(self._api.dataset_info(dataset, revision=_CONVERTED, timeout=_TIMEOUT_SECONDS).sha)
                sizes = self._sizes(dataset, revision)
        except InputNotFound as err:
            raise InputNotFound(
                f"{dataset}: its card names no Parquet files, and the hub has not converted the dataset. "
                f"Put the split's files on S3 and give their s3_uri. ({err})"
            ) from err
        splits: Splits = {}
        for path in sorted(sizes):
            folders = path.split("/")
            if len(folders) == 3 and path.endswith(".parquet"):
                name = folders[1].removeprefix(_PARTIAL)
                splits.setdefault(folders[0], {}).setdefault(name, []).append(path)
        paths = _choose(dataset, splits, config, split)
        if any(path.split("/")[1].startswith(_PARTIAL) for path in paths):
            raise InputNotFound(
                f"{dataset}: the hub has converted only the first part of the split {split!r}, so rows would be "
                "missing. Put all of the split's files on S3 and give their s3_uri."
            )
        return [_source(dataset, revision, path, sizes[path]) for path in paths]


def connect(token_secret_arn: str | None) -> Hub:
    """Return the hub, with the token that is the whole text of a secret, or without a token if the ARN is None.

    The environment variable HF_ENDPOINT names another hub, as for the hub's own tools.

    Raises:
        InputNotFound: the secret cannot be read.
        InvalidRunInput: the secret's text is not a token.
    """
    endpoint = os.environ.get("HF_ENDPOINT")
    if token_secret_arn is None:
        return Hub(endpoint=endpoint)
    client = clients.client("secretsmanager")
    try:
        secret = client.get_secret_value(SecretId=token_secret_arn)
    except (client.exceptions.ResourceNotFoundException, client.exceptions.ClientError) as err:
        code = err.response["Error"]["Code"]
        if code not in ("ResourceNotFoundException", "AccessDeniedException"):
            raise
        raise InputNotFound(
            f"hf_token_secret_arn: {token_secret_arn} cannot be read ({code}). Check that the secret exists and that "
            "the module's inputs.secret_arns has it: that list gives the functions their permissions."
        ) from err
    token = secret.get("SecretString", "").strip()
    if not re.fullmatch(r"[!-z|~]+", token):
        raise InvalidRunInput(f"hf_token_secret_arn: the secret {token_secret_arn} must be the token's text alone.")
    return Hub(token=token, endpoint=endpoint)


def _source(dataset: str, revision: str, path: str, size: int) -> Source:
    return Source(bucket="", key=path, etag="", size=size, rows=0, dataset=dataset, revision=revision)


def _choose(dataset: str, splits: Splits, config: str | None, split: str) -> list[str]:
    """Return a split's paths. If `config` is None, take the only config or the one named "default"."""
    known = ", ".join(sorted(splits))
    if config is None:
        if len(splits) > 1 and "default" not in splits:
            raise InvalidRunInput(f"{dataset} has several configs: set config to one of {known}.")
        config = "default" if "default" in splits else next(iter(splits), None)
    if config not in splits:
        raise InputNotFound(f"{dataset} has no config {config!r}. It has: {known or 'none with Parquet files'}.")
    if split not in splits[config]:
        have = ", ".join(sorted(splits[config])) or "none"
        raise InputNotFound(f"{dataset}, config {config!r}, has no split {split!r}. It has: {have}.")
    return splits[config][split]


@contextmanager
def _refusals(dataset: str, revision: str | None) -> Iterator[None]:
    """Turn the hub library's errors into errors of this package."""
    try:
        yield
    except GatedRepoError as err:
        raise InputNotFound(
            f"The dataset {dataset} is gated: accept its terms on the hub.",
            advice="Then set hf_token_secret_arn to a secret with a token of the same hub account.",
        ) from err
    except RepositoryNotFoundError as err:
        raise InputNotFound(
            f"The hub has no dataset {dataset}, or the dataset is private.",
            advice="If it is private, set hf_token_secret_arn.",
        ) from err
    except RevisionNotFoundError as err:
        raise InputNotFound(f"The dataset {dataset} has no revision {revision!r}.") from err
    except RemoteEntryNotFoundError as err:
        raise InputNotFound(f"A file is missing in the dataset {dataset} at {revision}.") from err
    except HFValidationError as err:
        raise InvalidRunInput(f"dataset_id: {dataset!r} is not the id of a dataset ({err}).") from err
    except HfHubHTTPError as err:
        _refuse(dataset, err)
    except HTTPError as err:
        raise HubUnavailable(f"{dataset}: the hub cannot be reached: {type(err).__name__}: {err}") from err


def _refuse(dataset: str, err: HfHubHTTPError) -> NoReturn:
    status = err.response.status_code
    if status in (401, 403):
        raise InputNotFound(
            f"The hub refuses access to {dataset} ({status}): the token of hf_token_secret_arn is missing, has expired "
            "or may not read the dataset."
        ) from err
    raise HubUnavailable(f"{dataset}: the hub answered with status {status}. Try again later.") from err
