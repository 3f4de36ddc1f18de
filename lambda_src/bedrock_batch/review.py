"""Add up the prepared shards before any money is spent: errors, estimate, budget."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from bedrock_batch import ids
from bedrock_batch.catalogue import is_custom
from bedrock_batch.contracts import Prepared, Run, Shape
from bedrock_batch.errors import BY_NAME, BudgetExceeded, InputError, InvalidRunInput, NoValidRows, PrepareFailed


@dataclass(frozen=True, slots=True)
class Estimate(Shape):
    """What the run would send. Tokens are bytes of text / 4; output tokens are the most that may come back.

    `jobs` are those of whole shards: smaller ones are pooled, or answered on demand. All of it is for one answer a
    record; `cost_with_retries_usd` is the cost if `retry` had every record sent twice, and None without `retry`.
    """

    rows: int
    records: int
    skipped: int
    jobs: int
    input_bytes: int
    input_tokens: int
    output_tokens: int | None
    cost_usd: float | None
    cost_with_retries_usd: float | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Leave out what only `retry` has, and warnings where there are none."""
        values = asdict(self) | {"warnings": list(self.warnings)}
        if self.cost_with_retries_usd is None:
            del values["cost_with_retries_usd"]
        return {key: value for key, value in values.items() if value or key != "warnings"}


def prepared_shards(results: Iterable[Mapping[str, Any]]) -> list[Prepared]:
    """Return what the children of Prepare shards returned, in order of the shards.

    Raises:
        InputError: the first error of the input, as the child raised it: its class and its sentence.
        PrepareFailed: a child failed for another reason.
    """
    failed = sorted((result for result in results if "error" in result), key=lambda result: int(result["shard"]))
    # Errors of the input go first: they say what the user can do.
    for result in sorted(failed, key=lambda result: not _is_input_error(result["error"])):
        sentence = _error_message(result["cause"])
        if _is_input_error(result["error"]):
            raise BY_NAME[result["error"]](sentence)
        raise PrepareFailed(f"Shard {result['shard']:05d} could not be prepared: {result['error']}: {sentence}")
    prepared = [Prepared.from_json(result) for result in results]
    return sorted(prepared, key=lambda shard: shard.shard)


def _is_input_error(name: str) -> bool:
    return issubclass(BY_NAME.get(name, object), InputError)


def _error_message(cause: str) -> str:
    """Return the sentence in a Lambda error's cause, which is JSON where Lambda wrote it."""
    try:
        parsed = json.loads(cause)
    except ValueError:
        return cause
    return str(parsed.get("errorMessage", cause)) if isinstance(parsed, dict) else cause


def of_model(run: Run, prepared: Iterable[Prepared]) -> list[Prepared]:
    """Return the model's shards; where another model has the same body, what was prepared for that one is its too."""
    by_number = {one.shard: one for one in prepared}
    return [replace(by_number[run.rendered(number)], shard=number) for number in run.numbers]


def estimate(run: Run, prepared: Sequence[Prepared]) -> Estimate:
    """Return what the prepared shards would cost; None where the run input does not bound it."""
    records = sum(shard.records for shard in prepared)
    input_tokens = sum(shard.input_tokens_estimate for shard in prepared)
    max_tokens = run.input.get("inference", {}).get("max_tokens")
    output_tokens = 0 if run.kind == "embedding" else records * max_tokens if max_tokens else None
    price = run.input.get("price")
    cost = cost_with_retries = None
    if price and output_tokens is not None:
        cost = round((input_tokens * price["input"] + output_tokens * price["output"]) / 1e6, 6)
        if run.retry:
            second = records * (run.retry["max_tokens"] or max_tokens)
            cost_with_retries = round(cost + (input_tokens * price["input"] + second * price["output"]) / 1e6, 6)
    return Estimate(
        rows=sum(shard.rows for shard in prepared),
        records=records,
        skipped=sum(shard.skipped for shard in prepared),
        jobs=sum(1 for shard in prepared if shard.records >= run.quotas["min_records"]),
        input_bytes=sum(shard.bytes for shard in prepared),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost,
        cost_with_retries_usd=cost_with_retries,
        warnings=blanks(run, prepared),
    )


def blanks(run: Run, prepared: Sequence[Prepared]) -> tuple[str, ...]:
    """Return the warning about records that have a blank text in a place of the request."""
    blank = sum(shard.blank for shard in prepared)
    if not blank:
        return ()
    hint = "Remove these rows, or make the cells null"
    if run.table["format"] == "csv":
        hint = 'input.csv.null_values [""] makes such cells null'
    return (
        f"In {blank} of {sum(shard.records for shard in prepared)} records a place of the request is blank: they are "
        f"sent, and paid. {hint}: input.nulls says what becomes of nulls, and skips their rows unless told otherwise.",
    )


def total(expected: Sequence[Estimate]) -> Estimate:
    """Return what all models of a run would cost together; None where one of them is not bounded."""

    def known(values: Sequence[Any]) -> Any:
        return None if None in values else sum(values)

    numbers = [f.name for f in fields(Estimate) if f.name != "warnings"]
    sums = {name: known([getattr(one, name) for one in expected]) for name in numbers}
    # Models with the same body have the same records.
    warnings = tuple(dict.fromkeys(warning for one in expected for warning in one.warnings))
    return Estimate(**sums | {"cost_usd": sums["cost_usd"] and round(sums["cost_usd"], 6)}, warnings=warnings)


def check_rows(run: Run, expected: Estimate) -> None:
    """Refuse a model that has nothing to be sent, or of which nothing would be sent.

    Raises:
        NoValidRows, InvalidRunInput: with the number of rows.
    """
    if expected.records == 0:
        raise NoValidRows(
            f"All {expected.rows} rows were skipped; {ids.run_prefix(run.run_id)}/skipped/ in bucket {run.bucket} "
            "says why for each."
        )
    least = run.quotas["min_records"]
    if expected.records < least and not run.limits["on_demand_tail"] and not run.limits["canary_records"]:
        reason, advice = "limits.on_demand_tail is false", "Set it to true, or give more rows."
        if is_custom(run.model_id):
            reason, advice = "a custom model cannot be called on demand", "Give more rows."
        raise InvalidRunInput(
            f"{expected.records} records are fewer than the {least} that a job of {run.model_id} must have, and "
            f"{reason}: nothing would be sent. {advice}"
        )


def check(run: Run, expected: Estimate) -> None:
    """Refuse a run that has nothing to send or would cost more than its budget.

    Raises:
        NoValidRows, BudgetExceeded, InvalidRunInput: with the numbers.
    """
    check_rows(run, expected)
    budget = run.limits.get("budget_usd")
    if budget is None:
        return
    if expected.cost_usd is None:
        raise InvalidRunInput("limits.budget_usd needs inference.max_tokens, which bounds the answers' cost.")
    if expected.cost_with_retries_usd is not None and expected.cost_with_retries_usd > budget:
        raise BudgetExceeded(
            f"The estimate is {expected.cost_usd} USD, and {expected.cost_with_retries_usd} USD if retry has every "
            f"record sent twice; limits.budget_usd is {budget}. Raise it, leave retry out, or lower input.limit or "
            "retry.max_tokens."
        )
    if expected.cost_usd > budget:
        raise BudgetExceeded(
            f"The estimate is {expected.cost_usd} USD for {expected.input_tokens} input and {expected.output_tokens} "
            f"output tokens; limits.budget_usd is {budget}. Raise it, or lower input.limit or inference.max_tokens."
        )
