"""Add up the prepared shards before any money is spent: errors, estimate, budget."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from bedrock_batch import keys
from bedrock_batch.aws.causes import lambda_message
from bedrock_batch.contracts.lines import Prepared, PreparedShard
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.shape import Shape
from bedrock_batch.errors import BY_NAME, BudgetExceeded, InputError, InvalidRunInput, NoValidRows, PrepareFailed
from bedrock_batch.models.catalogue import is_custom
from bedrock_batch.run.decide import Standing, whole_shards
from bedrock_batch.run.next_lines import pooled


@dataclass(frozen=True, slots=True)
class Estimate(Shape):
    """What the run would send. Tokens are bytes of text / 4; output tokens are the most that may come back.

    `jobs` are those of the first round; `on_demand_records` are in none of them: the canary, and what is too few for
    a job. All of it is for one answer a record; `cost_with_retries_usd` is the cost if `retry` had every record sent
    twice, and None without `retry`. `cost_unknown` says why there is no cost.
    """

    rows: int
    records: int
    skipped: int
    jobs: int
    on_demand_records: int
    input_bytes: int
    input_tokens: int
    output_tokens: int | None
    cost_usd: float | None
    cost_with_retries_usd: float | None = None
    cost_unknown: str = ""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Leave out the cost with retries where there is no `retry`, and empty texts and lists."""
        values = asdict(self) | {"warnings": list(self.warnings)}
        if self.cost_with_retries_usd is None:
            del values["cost_with_retries_usd"]
        return {key: value for key, value in values.items() if value or key not in ("cost_unknown", "warnings")}


def prepared_shards(results: Iterable[Mapping[str, Any]]) -> list[Prepared]:
    """Return the records that the children of Prepare shards wrote, in order of the shards.

    Raises:
        InputError: the first error of the input, as the child raised it: its class and its sentence.
        PrepareFailed: a child failed for another reason.
    """
    failed = sorted((result for result in results if "error" in result), key=lambda result: int(result["shard"]))
    # Errors of the input go first: they say what the user can do.
    for result in sorted(failed, key=lambda result: not _is_input_error(result["error"])):
        sentence = lambda_message(result["cause"]) or result["cause"]
        if _is_input_error(result["error"]):
            raise BY_NAME[result["error"]](sentence)
        raise PrepareFailed(
            f"Shard {keys.shard_name(result['shard'])} could not be prepared: {result['error']}: {sentence}"
        )
    prepared = (one for result in results for one in PreparedShard.from_json(result).prepared)
    return sorted(prepared, key=lambda shard: shard.shard)


def _is_input_error(name: str) -> bool:
    return issubclass(BY_NAME.get(name, object), InputError)


def of_model(run: Run, prepared: Iterable[Prepared]) -> list[Prepared]:
    """Return the model's shards; models with the same body share what was prepared for the first of them."""
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
        cost = in_usd(price, input_tokens, output_tokens)
        if run.retry:
            second = records * (run.retry["max_tokens"] or max_tokens)
            cost_with_retries = round(cost + in_usd(price, input_tokens, second), 6)
    unknown = "the run input has no price" if not price else ""
    if price and output_tokens is None:
        unknown = "the run input has no inference.max_tokens, which bounds the answers"
    jobs, tail, canary = _ways(run, prepared)
    return Estimate(
        rows=sum(shard.rows for shard in prepared),
        records=records,
        skipped=sum(shard.skipped for shard in prepared),
        jobs=jobs,
        on_demand_records=tail + canary,
        input_bytes=sum(shard.bytes for shard in prepared),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost,
        cost_with_retries_usd=cost_with_retries,
        cost_unknown=unknown,
        warnings=(*on_demand(run, tail, records), *blanks(run, prepared)),
    )


def on_demand(run: Run, tail: int, records: int) -> tuple[str, ...]:
    """Return the warning about records that are too few for a job."""
    return (f"{_few(tail, records, run)}: answered on demand, about twice the batch price",) if tail else ()


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


def in_usd(price: Mapping[str, float], input_tokens: int, output_tokens: int) -> float:
    """Return what tokens cost at a price per million."""
    return round((input_tokens * price["input"] + output_tokens * price["output"]) / 1e6, 6)


def _ways(run: Run, prepared: Sequence[Prepared]) -> tuple[int, int, int]:
    """Return the jobs of the first round, the records that are too few for one, and those of the canary."""
    least = run.quotas["min_records"]
    fresh = [Standing(shard=shard.shard, records=shard.records, bytes=shard.bytes) for shard in prepared]
    canary, fresh = (fresh[:1], fresh[1:]) if run.canary else ([], fresh)
    whole = set(whole_shards(fresh, min_records=least))
    rest = [standing for standing in fresh if standing.shard not in whole]
    jobs = len(pooled(run, rest))
    tail = 0 if jobs or not run.limits["on_demand_tail"] else sum(standing.records for standing in rest)
    return len(whole) + jobs, tail, sum(standing.records for standing in canary)


def _few(tail: int, records: int, run: Run) -> str:
    some = f"{tail} records" if tail == records else f"{tail} of {records} records"
    return f"{some} are fewer than {run.quotas['min_records']}"


def total(expected: Mapping[str, Estimate]) -> Estimate:
    """Return what all models of a run would cost together, given by name; None where the cost of one is not bounded.

    `rows` are the table's, which is the same for all; the rest is the sum.
    """

    def known(values: Sequence[Any]) -> Any:
        return None if None in values else sum(values)

    every = list(expected.values())
    numbers = [f.name for f in fields(Estimate) if f.name not in ("rows", "cost_unknown", "warnings")]
    sums = {name: known([getattr(one, name) for one in every]) for name in numbers}
    costs = {name: sums[name] and round(sums[name], 6) for name in ("cost_usd", "cost_with_retries_usd")}
    unknown = [f"{name}: {one.cost_unknown}" for name, one in expected.items() if one.cost_unknown]
    warnings = dict.fromkeys(
        warning if all(warning in other.warnings for other in every) else f"{name}: {warning}"
        for name, one in expected.items()
        for warning in one.warnings
    )
    return Estimate(**sums | costs, rows=every[0].rows, cost_unknown="; ".join(unknown), warnings=tuple(warnings))


def check_rows(run: Run, expected: Estimate) -> None:
    """Refuse a model that has no records, or whose records nothing would send.

    Raises:
        NoValidRows, InvalidRunInput: with the number of rows.
    """
    if expected.records == 0:
        raise NoValidRows(
            f"All {expected.rows} rows were skipped; {run.keys.skipped_folder} in bucket {run.bucket} "
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
