"""Numbers, money and times as a person reads them: a rounded figure never says what is not so."""

import pytest

from bedrock_batch.page import words


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 3, "0 %"),
        (1, 0, "0 %"),
        (1, 2_000, "< 0.1 %"),
        (1, 3, "33.3 %"),
        (9_999, 10_000, "> 99.9 %"),
        (3, 3, "100 %"),
        (10_004, 10_000, "> 100 %"),
        (3, 2, "150 %"),
    ],
)
def test_a_share_is_none_or_all_only_if_it_is_exactly_that(part: int, whole: int, shown: str) -> None:
    assert words.share(part, whole) == shown


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        (None, "not known"),
        (0, "$0.00"),
        (1e-7, "< $0.000001"),
        (0.00005, "$0.00005"),
        (0.010873, "$0.0109"),
        (1234.5, "$1,234.50"),
    ],
)
def test_an_amount_has_its_significant_digits(cost: float | None, shown: str) -> None:
    assert words.usd(cost) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2026-11-29T07:00:00.120+01:00", "2026-11-29 06:00:00 UTC"),
        ("soon", "soon"),
        ("0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00+05:00"),
    ],
)
def test_what_is_no_time_stays_as_it_is(value: str, shown: str) -> None:
    assert words.moment(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.6, "1 min"), (3_630, "1 h"), (90_000, "1 day 1 h"), (172_800, "2 days")]
)
def test_a_length_of_time_has_its_two_largest_units(seconds: float, shown: str) -> None:
    assert words.span(seconds) == shown
