"""Datasets of the Hugging Face hub: which Parquet files make up a split, and ranges of their bytes.

Files are pinned to a commit when a run is planned, and prepared from it.
"""

import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

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

_CONVERTED = "refs/convert/parquet"
"""Where the hub keeps what it has converted itself, as <config>/<split>/0000.parquet; it follows the main branch."""

_PARTIAL = "partial-"
"""Begins a split's folder when the hub has converted its first gigabytes only."""

_TIMEOUT_SECONDS = 60

_MOST_PATTERN = 500

_NEVER_DATA = frozenset(
    {"README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "dummy_data.zip"}
)
"""What the datasets library leaves out, whatever a pattern says."""

Splits = dict[str, dict[str, list[str]]]
"""The paths of every split of every config."""


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
        declared, default = _declared(info.card_data.get("configs") if info.card_data else None, sorted(sizes))
        if declared:
            paths = _choose(dataset, declared, config or default, split)
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


def _declared(configs: Sequence[Mapping[str, Any]] | None, paths: Sequence[str]) -> tuple[Splits, str | None]:
    """Return the splits that a dataset's card declares by patterns, and the config that it calls the default.

    There are none where it leaves that to be guessed.
    """
    splits: Splits = {}
    default = None
    for entry in configs or ():
        files = entry.get("data_files")
        if isinstance(files, dict):
            files = [{"split": split, "path": patterns} for split, patterns in files.items()]
        elif isinstance(files, str) or (files and all(isinstance(item, str) for item in files)):
            files = [{"split": "train", "path": files}]
        found: dict[str, list[str]] = {}
        for item in files or ():
            patterns = [item["path"]] if isinstance(item["path"], str) else item["path"]
            whole = (f"{entry.get('data_dir') or ''}/{pattern}" for pattern in patterns)
            matched = dict.fromkeys(path for pattern in whole for path in _matching(pattern, paths))
            found.setdefault(item["split"], []).extend(matched)
        name = entry.get("config_name", "default")
        splits[name] = found
        default = name if entry.get("default") is True else default
    return (splits, default) if any(splits.values()) else ({}, None)


def _matching(pattern: str, paths: Sequence[str]) -> Iterator[str]:
    """Yield the paths that match: `**` stands for any folders, and other wildcards for what is within one name.

    As for the datasets library, hidden files and folders (`.cache`, `__pycache__`) count where the pattern names them
    only, and some names never do.
    """
    if len(pattern) > _MOST_PATTERN:
        raise InvalidRunInput(f"The dataset's card has a pattern of {len(pattern)} characters: {pattern[:80]}…")
    names = [name for name in pattern.split("/") if name not in ("", ".")]
    # The library's regular expressions take steps in proportion to the text, whatever the pattern.
    steps = [None if name == "**" else re.compile(fnmatch.translate(name)).match for name in names]
    hidden = sum(map(_is_hidden, names))
    for path in paths:
        folders = path.split("/")
        if folders[-1] not in _NEVER_DATA and sum(map(_is_hidden, folders)) == hidden and _fits(steps, folders):
            yield path


def _fits(steps: Sequence[Callable[[str], object] | None], folders: Sequence[str]) -> bool:
    """Tell whether a path fits a pattern, step by step: `ends` are the places that the steps so far may lead to."""
    ends = {0}
    for step in steps:
        if step is None:
            ends = set(range(min(ends), len(folders) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(folders) and step(folders[end])}
        if not ends:
            return False
    return len(folders) in ends


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


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
