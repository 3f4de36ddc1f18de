"""Add up the prepared shards before any spend: errors, estimate, budget."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from bedrock_batch import keys
from bedrock_batch.aws.causes import lambda_message
from bedrock_batch.contracts.estimate import Estimate
from bedrock_batch.contracts.results import Failure, Prepared, PreparedShard
from bedrock_batch.contracts.routes import BATCH
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import BY_NAME, BudgetExceeded, InputError, InvalidRunInput, NoValidRows, PrepareFailed
from bedrock_batch.models.catalogue import is_custom
from bedrock_batch.run.decide import Standing, whole_shards
from bedrock_batch.run.next_lines import pooled
from bedrock_batch.run.prices import in_usd, on_demand_route, on_demand_words, rate


def prepared_shards(results: Sequence[Mapping[str, Any]]) -> list[Prepared]:
    """Return the results of the children of Prepare shards, in the order of the shards.

    Raises:
        InputError: the first error of the input, with the class and the message that the child raised.
        PrepareFailed: a child failed for another reason.
    """
    failed = [Failure.from_json(result) for result in results if "error" in result]
    # Errors of the input come first, because they say what the user can do.
    for one in sorted(failed, key=lambda one: (not _is_input_error(one.error), one.shard)):
        sentence = lambda_message(one.cause) or one.cause
        if _is_input_error(one.error):
            raise BY_NAME[one.error](sentence)
        raise PrepareFailed(f"Shard {keys.shard_name(one.shard or 0)} could not be prepared: {one.error}: {sentence}")
    prepared = (one for result in results for one in PreparedShard.from_json(result).prepared)
    return sorted(prepared, key=lambda shard: shard.shard)


def _is_input_error(name: str) -> bool:
    return issubclass(BY_NAME.get(name, object), InputError)


def of_model(run: Run, prepared: Iterable[Prepared]) -> list[Prepared]:
    """Return the model's shards. Models with the same body share the shards that were prepared for the first one."""
    by_number = {one.shard: one for one in prepared}
    return [replace(by_number[run.rendered(number)], shard=number) for number in run.numbers]


def estimate(run: Run, prepared: Sequence[Prepared]) -> Estimate:
    """Return the estimate of the prepared shards. Its cost is None if the run input does not bound the cost."""
    records = sum(shard.records for shard in prepared)
    input_tokens = sum(shard.input_tokens_estimate for shard in prepared)
    max_tokens = run.input.get("inference", {}).get("max_tokens")
    output_tokens = 0 if run.kind == "embedding" else records * max_tokens if max_tokens else None
    price = run.input.get("price")
    ways = _ways(run, prepared)
    cost = cost_with_retries = None
    if price and output_tokens is not None:
        cost = _cost(run, price, prepared, ways, output_tokens)
        if run.retry:
            second = records * (run.retry["max_tokens"] or max_tokens)
            cost_with_retries = round(cost + _second_cost(run, price, records, input_tokens, second), 6)
    unknown = "the run input has no price" if not price else ""
    if price and output_tokens is None:
        unknown = "the run input has no inference.max_tokens, which limits the answers"
    return Estimate(
        rows=sum(shard.rows for shard in prepared),
        records=records,
        skipped=sum(shard.skipped for shard in prepared),
        jobs=ways.jobs,
        on_demand_records=_records(ways.tail) + _records(ways.canary),
        input_bytes=sum(shard.bytes for shard in prepared),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost,
        cost_with_retries_usd=cost_with_retries,
        cost_unknown=unknown,
        warnings=(*on_demand(run, _records(ways.tail), records), *blanks(run, prepared)),
    )


def on_demand(run: Run, tail: int, records: int) -> tuple[str, ...]:
    """Return the warning about records that are too few for a job."""
    if not tail:
        return ()
    noun, are, they_are = ("records", "are", "they are") if tail > 1 else ("record", "is", "it is")
    some = f"{tail} {noun}" if tail == records else f"{tail} of {records} records"
    least, how = run.quotas["min_records"], on_demand_words([on_demand_route(run)])
    return (f"{some} {are} fewer than {least}, so {they_are} {how}",)


def blanks(run: Run, prepared: Sequence[Prepared]) -> tuple[str, ...]:
    """Return the warning about records that have a blank text in a place of the request."""
    blank = sum(shard.blank for shard in prepared)
    if not blank:
        return ()
    hint = "Remove these rows, or make the cells null"
    if run.table.format == "csv":
        hint = 'input.csv.null_values [""] makes such cells null'
    return (
        f"In {blank} of {sum(shard.records for shard in prepared)} records a place of the request is blank. These "
        f"records are sent and paid. {hint}: rows with nulls are skipped unless input.nulls says otherwise.",
    )


@dataclass(frozen=True, slots=True)
class _Ways:
    """The number of jobs of the first round, and the shards that are not in them: the canary and the tail."""

    jobs: int
    tail: Sequence[Prepared]
    canary: Sequence[Prepared]


def _ways(run: Run, prepared: Sequence[Prepared]) -> _Ways:
    least = run.quotas["min_records"]
    canary, others = (prepared[:1], prepared[1:]) if run.canary else ([], prepared)
    fresh = [Standing(shard=shard.shard, records=shard.records, bytes=shard.bytes) for shard in others]
    whole = set(whole_shards(fresh, min_records=least))
    jobs = len(pooled(run, [standing for standing in fresh if standing.shard not in whole]))
    answered = not jobs and run.limits["on_demand_tail"]
    tail = [shard for shard in others if answered and shard.shard not in whole]
    return _Ways(len(whole) + jobs, tail, canary)


def _records(shards: Iterable[Prepared]) -> int:
    return sum(shard.records for shard in shards)


def _cost(run: Run, price: Mapping[str, Any], prepared: Sequence[Prepared], ways: _Ways, output_tokens: int) -> float:
    """Return the most that one answer to each record costs, each at the price of its route."""
    on_demand = [*ways.tail, *ways.canary]
    input_tokens = sum(shard.input_tokens_estimate for shard in on_demand)
    answers = output_tokens * _records(on_demand) // max(1, _records(prepared))
    in_jobs = sum(shard.input_tokens_estimate for shard in prepared) - input_tokens, output_tokens - answers
    dearer = in_usd(rate(price, on_demand_route(run)), input_tokens, answers)
    return round(in_usd(rate(price, BATCH), *in_jobs) + dearer, 6)


def _second_cost(run: Run, price: Mapping[str, Any], records: int, input_tokens: int, output_tokens: int) -> float:
    """Return the cost of a second answer to each record: in jobs, or on demand if the records are too few for a job."""
    route = BATCH if records >= run.quotas["min_records"] else on_demand_route(run)
    return in_usd(rate(price, route), input_tokens, output_tokens)


def total(expected: Mapping[str, Estimate]) -> Estimate:
    """Return the estimate of all models together. Its cost is None if the cost of one model is.

    `rows` are the rows of the table, which all models share. All other figures are sums.
    """

    def known(values: Sequence[Any]) -> Any:
        return None if None in values else sum(values)

    every = list(expected.values())
    others = ("rows", "cost_unknown", "warnings", "model_id", "models")
    numbers = [f.name for f in fields(Estimate) if f.name not in others]
    sums = {name: known([getattr(one, name) for one in every]) for name in numbers}
    costs = {name: sums[name] and round(sums[name], 6) for name in ("cost_usd", "cost_with_retries_usd")}
    unknown = [f"{name}: {one.cost_unknown}" for name, one in expected.items() if one.cost_unknown]
    warnings = dict.fromkeys(
        warning if all(warning in other.warnings for other in every) else f"{name}: {warning}"
        for name, one in expected.items()
        for warning in one.warnings
    )
    return Estimate(
        **sums | costs,
        rows=every[0].rows,
        cost_unknown="; ".join(unknown),
        warnings=tuple(warnings),
        models=tuple(replace(one, model_id=name) for name, one in expected.items()),
    )


def check_rows(run: Run, expected: Estimate) -> None:
    """Refuse a model that has no records, or whose records would never be sent.

    Raises:
        NoValidRows, InvalidRunInput: the message has the number of rows.
    """
    if expected.records == 0:
        raise NoValidRows(
            f"All {expected.rows} rows were skipped. The files in s3://{run.bucket}/{run.keys.skipped_folder} have the "
            "reason for each row."
        )
    least = run.quotas["min_records"]
    if expected.records < least and not run.limits["on_demand_tail"] and not run.limits["canary_records"]:
        reason, advice = "limits.on_demand_tail is false", "Set it to true, or use more rows."
        if is_custom(run.model_id):
            reason, advice = "a custom model cannot be called on demand", "Use more rows."
        raise InvalidRunInput(
            f"{expected.records} records are fewer than the {least} that a job of {run.model_id} must have, and "
            f"{reason}, so nothing would be sent. {advice}"
        )


def check(run: Run, expected: Estimate) -> None:
    """Refuse a run that has nothing to send or would cost more than its budget.

    Raises:
        NoValidRows, BudgetExceeded, InvalidRunInput: the message has the numbers.
    """
    check_rows(run, expected)
    budget = run.limits.get("budget_usd")
    if budget is None:
        return
    if expected.cost_usd is None:
        raise InvalidRunInput("limits.budget_usd needs a limit on the cost of answers. Set inference.max_tokens.")
    if expected.cost_with_retries_usd is not None and expected.cost_with_retries_usd > budget:
        raise BudgetExceeded(
            f"The estimate is {expected.cost_usd} USD, and {expected.cost_with_retries_usd} USD if retry asks every "
            f"record again, but limits.budget_usd is {budget}. Raise it, remove retry, or lower input.limit or "
            "retry.max_tokens."
        )
    if expected.cost_usd > budget:
        raise BudgetExceeded(
            f"The estimate is {expected.cost_usd} USD for {expected.input_tokens} input and {expected.output_tokens} "
            f"output tokens, but limits.budget_usd is {budget}. Raise it, or lower input.limit or inference.max_tokens."
        )
