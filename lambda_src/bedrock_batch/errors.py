"""The errors a run can end with. The class name is the `Error` that Step Functions shows.

BedrockBatchError
├── InputError                 never retried; before the first job nothing was spent
│   ├── InvalidRunInput        a key of the run input is unknown, missing or has a wrong value
│   ├── RunNameTaken           the execution name belongs to another run
│   ├── UnknownModel           the model is not on the module's allow-list
│   ├── UnsupportedRequest     the model refuses what the run asks for
│   ├── UnknownPrompt          no prompt of that name, or its template is malformed
│   ├── MissingColumn          a template names a column that the table does not have
│   ├── InputNotFound          no such object, prefix or bucket, or no permission to read it
│   ├── EmptyInput             the input has no rows
│   ├── MalformedInput         a file or row does not follow its format
│   ├── SchemaMismatch         two input files do not have the same columns
│   ├── InputChanged           an input object changed after the run was planned
│   ├── TooLarge               a shard or record does not fit the model's quotas
│   ├── BudgetExceeded         the estimate is over limits.budget_usd
│   └── NoValidRows            every row was skipped
├── TransientError             the next call may succeed; functions raise this one name for all such errors
│   ├── HubUnavailable         the Hugging Face hub does not answer
│   └── ChunkTaken             two calls answer the same records on demand; one of them stops
├── ContractMismatch           this function cannot read the contract of an event or a file: another version wrote it
├── PlanUnfinished             the function's time ended before all text files were read; the next call continues
├── OnDemandRefused            Bedrock refused a call on demand, and no record is to blame; a redrive calls again
└── RunError                   the work was done, the result is not what it should be
    ├── PrepareFailed          a shard could not be prepared, and the input is not the cause
    ├── CanaryFailed           the first rows, answered on demand, failed; no job was made
    ├── RunExpired             a redrive came after retention.work_days: files of the run may be deleted
    ├── PermissionMissing      jobs were refused because a role, bucket, key or model may not be used; redrive
    ├── PoolIncomplete         a leftovers file is not the one that a pooled job was planned with
    ├── JoinIncomplete         a shard has no output part
    └── TooManyFailures        more rows failed than limits.tolerated_failure_percentage allows
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches


class BedrockBatchError(Exception):
    """Root of everything this package raises on purpose.

    `fact` is the message without `advice`. The advice is right only before the first job: see `after_spend`.
    """

    def __init__(self, message: str = "", *, advice: str = "") -> None:
        super().__init__(f"{message} {advice}" if advice else message)
        self.fact = message


class InputError(BedrockBatchError):
    """The input is wrong. The message names the key, column, file or row, and what to do."""


class InvalidRunInput(InputError):
    """A key of the run input is unknown, missing or has a wrong value."""


class RunNameTaken(InputError):
    """The execution name belongs to another run."""


class UnknownModel(InputError):
    """The model is not on the module's allow-list."""


class UnsupportedRequest(InputError):
    """The model refuses what the run asks for."""


class UnknownPrompt(InputError):
    """There is no prompt of that name, or its template is malformed."""


class MissingColumn(InputError):
    """A template names a column that the table does not have."""


class InputNotFound(InputError):
    """The object, prefix or bucket does not exist or may not be read."""


class EmptyInput(InputError):
    """The input has no rows."""


class MalformedInput(InputError):
    """A file or row does not follow its format."""


class SchemaMismatch(InputError):
    """Two input files do not have the same columns."""


class InputChanged(InputError):
    """An input object changed after the run was planned."""


class TooLarge(InputError):
    """A shard or record does not fit the model's quotas."""


class BudgetExceeded(InputError):
    """The estimate is over limits.budget_usd."""


class NoValidRows(InputError):
    """Every row was skipped, so there is nothing to run."""


class TransientError(BedrockBatchError):
    """The next call may succeed. The message begins with the name of the original error."""


class HubUnavailable(TransientError):
    """The Hugging Face hub does not answer, or not as it should; the next call may succeed."""


class ContractMismatch(BedrockBatchError):
    """Another version of the module wrote an event or a file, in a contract that this function cannot read.

    Nothing was done.
    """


class PlanUnfinished(BedrockBatchError):
    """Planning ran out of time. What it read is kept, and the next call continues from there."""


class ChunkTaken(TransientError):
    """Another call, started before a redrive, answers the same records. The answers that it has are kept."""


class OnDemandRefused(BedrockBatchError):
    """Bedrock refused a call on demand, and the record is not the cause. The record may be sent again."""


class RunError(BedrockBatchError):
    """The work was done, but the result is not what it should be."""


class PrepareFailed(RunError):
    """A shard could not be prepared, and the input is not the cause."""


class CanaryFailed(RunError):
    """The first rows, answered on demand, failed, so no job was made."""


class RunExpired(RunError):
    """The run is older than retention.work_days, so some of its files may be deleted."""


class PermissionMissing(RunError):
    """Bedrock refused jobs because a role, bucket, key or model may not be used; their records wait for a redrive."""


class PoolIncomplete(RunError):
    """A leftovers file is not the one that a pooled job was planned with."""


class JoinIncomplete(RunError):
    """A shard has no output part."""


class TooManyFailures(RunError):
    """More rows failed than the run tolerates."""


def _tree(root: type[BedrockBatchError]) -> dict[str, type[BedrockBatchError]]:
    return {root.__name__: root} | {
        name: leaf for child in root.__subclasses__() for name, leaf in _tree(child).items()
    }


BY_NAME = _tree(BedrockBatchError)
"""Every class above by its name: an error that a child recorded is raised again as the same class."""


@contextmanager
def naming(model_id: str) -> Iterator[None]:
    """Put `model_id` in front of an error's message; with an empty `model_id` the error stays as it is."""
    try:
        yield
    except BedrockBatchError as err:
        if not model_id:
            raise
        raise type(err)(f"{model_id}: {err}") from err


@contextmanager
def file_of_a_chunk(uri: str) -> Iterator[None]:
    """Replace InputChanged by ChunkTaken while a chunk's file of answers is read: only another call can change it."""
    try:
        yield
    except InputChanged as err:
        raise ChunkTaken(f"Another call is answering the records of {uri}.") from err


_REPAIR = " Put the object back as the run wrote it."


@contextmanager
def after_spend(kept: str) -> Iterator[None]:
    """Replace an error's advice, which is right only before the first job, by `kept`.

    `kept` says what is kept and what a redrive costs. RunError and OnDemandRefused stay as they are: their messages
    say so already. The class never changes, because Retry depends on it.
    """
    try:
        yield
    except (RunError, OnDemandRefused):
        raise
    except Exception as err:
        fact = getattr(err, "fact", err)
        repair = _REPAIR if isinstance(err, InputNotFound | InputChanged | MalformedInput) else ""
        err.args = (f"{fact}{repair} {kept}",)
        raise


# --- Sentences that several messages share ---

ROWS_COUNT = "(rows count from 1, without header and blank lines)"
"""Follows the fact in every message that names a row."""

_MOST_COLUMNS = 50

_SEPARATOR = re.compile(r"[;|\t,]")

_NUMBER = re.compile(r"\s*[-+]?[0-9][0-9.,:/-]*\s*")


def missing_column(
    said: str,
    name: str,
    columns: Sequence[str],
    *,
    owner: str = "the table",
    paths: Sequence[str] = (),
    write: Callable[[str], str] = str,
) -> MissingColumn:
    """Return the error for a column that `owner` does not have.

    The message is `said`, which names the column, then the most similar names, then all columns. `paths` are the names
    to compare with if a place may name a field within a column. `write` returns a name in the user's notation.
    """
    wanted, known = name.strip(), paths or columns
    near = get_close_matches(wanted, known, n=3) or [one for one in known if one.lower() == wanted.lower()]
    hint = f" Did you mean {' or '.join(map(write, near))}?" if near else ""
    return MissingColumn(f"{said}, but {owner} has no such column.{hint} {columns_are(columns)}")


def columns_are(known: Sequence[str]) -> str:
    """Return a sentence that lists a table's columns, and a hint if they do not look like names."""
    listed = f"Its columns are: {', '.join(known[:_MOST_COLUMNS])}{' …' if len(known) > _MOST_COLUMNS else ''}."
    if len(known) == 1 and (separator := _SEPARATOR.search(known[0])):
        return f"{listed} It has one column only: if {separator[0]!r} separates cells, set input.csv.delimiter to it."
    if _are_no_names(known):
        return f"{listed} They look like cells: if a CSV has no header row, name its columns in input.csv.columns."
    return listed


def _are_no_names(columns: Sequence[str]) -> bool:
    """Return whether names look like the cells of a row: one is a number, is empty or occurs twice."""
    return len(set(columns)) < len(columns) or any(not name.strip() or _NUMBER.fullmatch(name) for name in columns)
