"""Numbers, money, times and spans as a person reads them."""

from datetime import UTC, datetime

_SPANS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def count(number: float) -> str:
    """Return a whole number with separators between its thousands."""
    return f"{number:,.0f}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{count(number)} {one if number == 1 else many or f'{one}s'}"


def share(part: float, whole: float) -> str:
    """Return a share in percent. It is 0 or 100 only if the share is exactly that."""
    if not whole:
        return "0 %"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    if 100 < percent < 100.1:
        return "> 100 %"
    return f"{percent:.1f}".removesuffix(".0") + " %"


def usd(cost: float | None) -> str:
    """Return an amount: with cents from a dollar on, below that with its significant digits."""
    if cost is None:
        return "not known"
    if cost == 0 or cost >= 1:
        return f"${cost:,.2f}"
    if cost < 0.000001:
        return "< $0.000001"
    return f"${cost:.4f}" if cost >= 0.001 else f"${cost:.6f}".rstrip("0")


def span(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    left = round(seconds)
    found: list[tuple[int, str]] = []
    for unit, size in _SPANS:
        number, left = divmod(left, size)
        if number or found:
            found.append((number, unit))
    shown = [f"{number} {_unit(number, unit)}" for number, unit in found[:2] if number]
    return " ".join(shown) or "0 s"


def _unit(number: int, unit: str) -> str:
    return "days" if unit == "day" and number != 1 else unit


def moment(value: str) -> str:
    """Return a time in UTC, to the second. A text that is not a time is returned unchanged."""
    found = parsed(value)
    return f"{found:%Y-%m-%d %H:%M:%S} UTC" if found else value


def parsed(value: str) -> datetime | None:
    """Return a time from ISO 8601; None if the text is not a time."""
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # In UTC it may be before the year 1.
        return None
