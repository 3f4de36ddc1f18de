"""Datasets of the Hugging Face hub: which Parquet files make up a split, and ranges of their bytes.

Files are pinned to a commit when a run is planned, and prepared from it.
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
"""Where the hub keeps what it has converted itself, as <config>/<split>/0000.parquet; it follows the main branch."""

_PARTIAL = "partial-"
"""Begins a split's folder when the hub has converted its first gigabytes only."""

_TIMEOUT_SECONDS = 60


class Hub:
    """The operations this package needs of the hub, for one user or, without a token, for anyone.

    `endpoint` is the hub itself, or a mirror of it.
    """

    def __init__(self, *, token: str | None = None, endpoint: str | None = None) -> None:
        # False: never a token that happens to lie about on this machine.
        self._token = token or False
        self._endpoint = endpoint
        self._api = HfApi(token=self._token, endpoint=endpoint)

    def find(self, dataset: str, *, config: str | None, split: str, revision: str | None) -> list[Source]:
        """Return the Parquet files of a split, in table order, pinned to today's commit of `revision`; rows are 0.

        The repository's own files where its card says which they are; otherwise those that the hub has converted.
        Raises InputNotFound naming the configs or splits there are, HubUnavailable when asking again may help.
        """
        with _refusals(dataset, revision):
            info = self._api.dataset_info(dataset, revision=revision, timeout=_TIMEOUT_SECONDS)
            sizes = self._sizes(dataset, str(info.sha))
        card = hub_card.configs(info.card_data.get("configs") if info.card_data else None)
        config = hub_card.chosen(dataset, card, config)
        declared = hub_card.splits(dataset, card, sorted(sizes))
        # What a config leaves to be guessed, the hub has guessed already.
        if declared and (config in declared or config not in card):
            paths = _choose(dataset, declared, config, split)
            if paths and all(path.lower().endswith(".parquet") for path in paths):
                return [_source(dataset, str(info.sha), path, sizes[path]) for path in paths]
        if revision not in (None, "main"):
            raise InputNotFound(
                f"{dataset} at revision {revision!r}: its card names no Parquet files for the split {split!r}, and the "
                "hub converts only the main branch. Leave revision out, or put the split's files on S3."
            )
        return self._converted(dataset, config=config, split=split)

    def read(self, file: Source, start: int, end: int) -> bytes:
        """Return bytes [start, end) of a file. Raises InputChanged when its commit is no longer there."""
        if start >= end:
            return b""
        url = hf_hub_url(file.dataset, file.key, repo_type="dataset", revision=file.revision, endpoint=self._endpoint)
        headers = {**build_hf_headers(token=self._token), "Range": f"bytes={start}-{end - 1}"}
        try:
            with _refusals(file.dataset, file.revision):
                answer = http_backoff("GET", url, headers=headers, timeout=_TIMEOUT_SECONDS)
                hf_raise_for_status(answer)
        except InputNotFound as err:
            raise InputChanged(f"{file.uri} was there when the run was planned. Now: {err.fact}") from err
        data: bytes = answer.content
        if len(data) != end - start:
            raise HubUnavailable(f"{file.uri}: {end - start} bytes were asked for and {len(data)} came.")
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
                f"{dataset}: its card names no Parquet files, and the hub has not converted it. "
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
                "missing. Put the split's files on S3 and give their s3_uri."
            )
        return [_source(dataset, revision, path, sizes[path]) for path in paths]


def connect(token_secret_arn: str | None) -> Hub:
    """Return the hub as seen with the token that a secret holds as its whole text; anonymously without one.

    Which hub, the environment's HF_ENDPOINT says, as it does for the hub's own tools.
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
            f"hf_token_secret_arn: {token_secret_arn} cannot be read ({code}). It must exist, and be one of the "
            "module's inputs.secret_arns, from which the functions' permissions are built."
        ) from err
    token = secret.get("SecretString", "").strip()
    if not re.fullmatch(r"[!-z|~]+", token):
        raise InvalidRunInput(f"hf_token_secret_arn: the secret {token_secret_arn} must hold the token alone, as text.")
    return Hub(token=token, endpoint=endpoint)


def _source(dataset: str, revision: str, path: str, size: int) -> Source:
    return Source(bucket="", key=path, etag="", size=size, rows=0, dataset=dataset, revision=revision)


def _choose(dataset: str, splits: Splits, config: str | None, split: str) -> list[str]:
    """Return a split's paths. Without a config: the only one, or the one called default."""
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
    """Raise what a refusal by the hub means for the user."""
    try:
        yield
    except GatedRepoError as err:
        raise InputNotFound(
            f"The dataset {dataset} is gated: accept its terms on the hub.",
            advice="Then set hf_token_secret_arn to a secret that holds a token of that account.",
        ) from err
    except RepositoryNotFoundError as err:
        raise InputNotFound(
            f"There is no dataset {dataset} on the hub that may be read.",
            advice="If it is private, set hf_token_secret_arn.",
        ) from err
    except RevisionNotFoundError as err:
        raise InputNotFound(f"The dataset {dataset} has no revision {revision!r}.") from err
    except RemoteEntryNotFoundError as err:
        raise InputNotFound(f"A file is missing in the dataset {dataset} at {revision}.") from err
    except HFValidationError as err:
        raise InvalidRunInput(f"dataset_id: {dataset!r} is no dataset's id ({err}).") from err
    except HfHubHTTPError as err:
        _refuse(dataset, err)
    except HTTPError as err:
        raise HubUnavailable(f"The hub cannot be reached for {dataset}: {type(err).__name__}: {err}") from err


def _refuse(dataset: str, err: HfHubHTTPError) -> NoReturn:
    status = err.response.status_code
    if status in (401, 403):
        raise InputNotFound(
            f"The hub refuses to show {dataset} ({status}): the token of hf_token_secret_arn is missing, expired or "
            "has no right to read it."
        ) from err
    raise HubUnavailable(f"The hub answered {status} for {dataset}. Try again later.") from err
