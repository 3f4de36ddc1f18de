"""The column of row numbers, and the column that readers get from the folders of several models."""

import pyarrow.compute as pc
import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import InvalidRunInput
from tests.conftest import BUCKET
from tests.functional.whole import LITE, MICRO, Document, WholeRun, asked, reviews

ANSWER = {"type": "object", "properties": {"model": {"type": "string"}}}


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("prefix", ["bedrock_", "", "x_"])
def test_rows_have_their_number_in_the_table(s3: S3, form: str, prefix: str) -> None:
    reviews(s3, 24, nulls={3})
    played = WholeRun(s3)
    played.run(asked(LITE, output={"format": form, "prefix": prefix, "row_number": True}))
    if form == "parquet":
        table = played.table()
        assert table[f"{prefix}row"].to_pylist() == list(range(1, 25))
        assert table.schema.field(f"{prefix}row").nullable is False
        names = table.schema.names
        assert names.index(f"{prefix}row") == names.index(f"{prefix}outcome") - 1, "the first of our columns"
    else:
        parts = [s3.read(BUCKET, item.key).decode() for item in s3.list(BUCKET, "reviews/output/")]
        assert len(parts) == 3
        last = parts[-1].strip().split("\n")[-1]
        assert (f'"{prefix}row":24' in last) if form == "jsonl" else (",24," in last)


def test_the_numbers_join_the_tables_of_several_models(s3: S3) -> None:
    reviews(s3, 24)
    played = WholeRun(s3)
    played.run(asked(LITE, MICRO, output={"row_number": True}))
    lite, micro = (played.table(model) for model in (LITE, MICRO))
    both = lite.join(micro, keys="bedrock_row", right_suffix="_micro")
    assert both.num_rows == 24
    assert pc.all(pc.equal(both["bedrock_outcome"], both["bedrock_outcome_micro"])).as_py()


def test_without_the_wish_there_is_no_such_column(s3: S3) -> None:
    reviews(s3, 24)
    played = WholeRun(s3)
    played.run(asked(LITE))
    assert "bedrock_row" not in played.table().schema.names


@pytest.mark.parametrize(
    ("header", "output", "refused"),
    [
        ("bedrock_model", {}, "The output has a column bedrock_model"),
        ("BEDROCK_Model", {}, "The output has a column bedrock_model"),
        ("model", {"prefix": ""}, "The output has a column model"),
        (
            "model",
            {"schema": {"type": "object", "properties": {"model": {"type": "string"}}}},
            "a column bedrock_model",
        ),
        ("bedrock_row", {"row_number": True}, "already has a column bedrock_row"),
        ("bedrock_model", {"columns": ["review"]}, ""),
        ("bedrock_model", {"prefix": "x_"}, ""),
        ("model", {}, ""),
        ("bedrock_row", {}, ""),
    ],
)
def test_a_column_that_the_output_has_twice_is_refused(s3: S3, header: str, output: Document, refused: str) -> None:
    rows = "".join(f"{number},a review\n" for number in range(24))
    s3.put(BUCKET, "in/t.csv", f"{header},review\n{rows}".encode())
    document = asked(LITE, MICRO, output=output) | {"s3_uri": f"s3://{BUCKET}/in/t.csv"}
    if not refused:
        WholeRun(s3).plan(document)
        return
    with pytest.raises(InvalidRunInput, match=refused):
        WholeRun(s3).plan(document)


def test_one_model_has_no_folder_and_takes_any_column(s3: S3) -> None:
    s3.put(BUCKET, "in/t.csv", b"bedrock_model,review\n" + b"x,a review\n" * 24)
    WholeRun(s3).plan(asked(LITE) | {"s3_uri": f"s3://{BUCKET}/in/t.csv"})
