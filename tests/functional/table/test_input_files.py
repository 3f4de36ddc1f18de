"""The objects that are the table's files, columns from folders' names, and tables with a log."""

import io
from collections.abc import Iterator
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from bedrock_batch import errors
from bedrock_batch.aws.s3 import S3, Object
from bedrock_batch.table import input_files
from tests.conftest import BUCKET
from tests.functional.planned import plan
from tests.functional.tables import describe, put, read_all, shards_of


def found(s3: S3, *uris: str) -> list[str]:
    return [source.key for source in input_files.find(s3, [f"s3://{BUCKET}/{uri}" for uri in uris]).sources]


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def test_find_orders_and_skips(s3: S3) -> None:
    for key in ("d/b.csv", "d/a.csv", "d/_tmp/c.csv", "d/sub/z.csv", "d/_SUCCESS", "d/.b.csv.crc", "e.csv"):
        put(key, b"x")
    put("d/sub/", b"")
    assert found(s3, "e.csv", "d/") == ["e.csv", "d/a.csv", "d/b.csv", "d/sub/z.csv"]
    files = input_files.find(s3, f"s3://{BUCKET}/d/")
    assert files.left_out == 3 and files.left_out_first[0] == f"s3://{BUCKET}/d/.b.csv.crc"
    with pytest.raises(errors.InvalidRunInput, match="twice"):
        found(s3, "e.csv", "d/", "d/b.csv")
    with pytest.raises(errors.InputNotFound, match=r"s3://test-bucket/d does not exist .*slash"):
        found(s3, "d")
    with pytest.raises(errors.InputNotFound, match="no object below s3://test-bucket/d/_tmp/x/"):
        found(s3, "d/_tmp/x/")
    for uri in ("s3://nowhere-at-all/x/", "s3://nowhere-at-all/x.csv"):
        with pytest.raises(errors.InputNotFound, match=f"The bucket of {uri} does not exist. Correct its name"):
            input_files.find(s3, uri)
    with pytest.raises(errors.InvalidRunInput, match="https"):
        input_files.find(s3, "https://example.com/t.csv")


@pytest.mark.parametrize(
    ("log", "prefix", "name"),
    [
        ("t/_delta_log/00000000000000000000.json", "t/", "a Delta table"),
        ("t/_delta_log/00000000000000000000.json", "", "a Delta table"),
        ("t/_delta_log/00000000000000000000.json", "t/dt=1/", "a Delta table"),
        ("t/.hoodie/hoodie.properties", "t/", "a Hudi table"),
        ("t/.hoodie/hoodie.properties", "t/dt=1/", "a Hudi table"),
        ("t/metadata/00000-1.metadata.json", "t/", "an Iceberg table"),
        ("t/metadata/v3.gz.metadata.json", "t/dt=1/", "an Iceberg table"),
    ],
)
def test_a_table_with_a_log_is_refused(s3: S3, log: str, prefix: str, name: str) -> None:
    put("t/dt=1/part-0.parquet", parquet(a=[1]))
    put(log, b"{}")
    with pytest.raises(errors.InvalidRunInput, match=f"s3://{BUCKET}/t/ is {name}: .* list of the files"):
        found(s3, prefix)
    assert found(s3, "t/dt=1/part-0.parquet") == ["t/dt=1/part-0.parquet"], "that is the way out"


def test_a_folder_called_metadata_is_data_without_iceberg_s_files(s3: S3) -> None:
    put("t/metadata/part-0.parquet", parquet(a=[1]))
    assert found(s3, "t/") == ["t/metadata/part-0.parquet"]


def test_where_folders_above_may_not_be_listed_a_warning_says_so(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    put("t/data/part-0.parquet", parquet(a=[1]))
    listed = s3.list

    def denied(bucket: str, prefix: str) -> Any:
        if not prefix.startswith("t/data/"):
            raise errors.InputNotFound(f"s3://{bucket}/{prefix} may not be read")
        return listed(bucket, prefix)

    monkeypatch.setattr(s3, "list", denied)
    files = input_files.find(s3, f"s3://{BUCKET}/t/data/")
    assert [source.key for source in files.sources] == ["t/data/part-0.parquet"]
    assert len(files.warnings) == 1 and "Delta" in files.warnings[0]


class Guarded:
    """A client with the permission to list some prefixes, as IAM gives it: `a/*` or one prefix exactly."""

    def __init__(self, client: Any, *patterns: str) -> None:
        self._client, self._patterns = client, patterns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_paginator(self, name: str) -> Any:
        paginator = self._client.get_paginator(name)
        return SimpleNamespace(paginate=lambda **request: self._pages(paginator, request))

    def _pages(self, paginator: Any, request: dict[str, str]) -> Iterator[Any]:
        if not any(fnmatchcase(request["Prefix"], pattern) for pattern in self._patterns):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no s3:ListBucket"}}, "ListObjectsV2")
        yield from paginator.paginate(**request)


ABOVE = ("_delta_log/", ".hoodie/", "metadata/", "eu/_delta_log/", "eu/.hoodie/", "eu/metadata/")
"""The prefixes above its location `s3://…/eu/reviews/` that the module allows planning to list."""


def test_below_a_location_of_the_module_nothing_is_in_doubt(s3: S3) -> None:
    put("eu/reviews/2026/part-0.parquet", parquet(a=[1]))
    put("eu/secret/part-0.parquet", parquet(a=[1]))
    guarded = S3(Guarded(boto3.client("s3"), "eu/reviews/*", *ABOVE))
    for uri in ("eu/reviews/", "eu/reviews/2026/"):
        files = input_files.find(guarded, f"s3://{BUCKET}/{uri}")
        assert [source.key for source in files.sources] == ["eu/reviews/2026/part-0.parquet"]
        assert files.warnings == []
    with pytest.raises(errors.InputNotFound, match="s3:ListBucket on .* inputs.locations"):
        input_files.find(guarded, f"s3://{BUCKET}/eu/secret/")
    put("eu/_delta_log/00000000000000000000.json", b"{}")
    with pytest.raises(errors.InvalidRunInput, match=f"s3://{BUCKET}/eu/ is a Delta table"):
        input_files.find(guarded, f"s3://{BUCKET}/eu/reviews/")


def test_where_s3_refuses_to_list_a_log_above_the_run_goes_on_with_a_warning(s3: S3) -> None:
    put("eu/reviews/part-0.parquet", parquet(a=[1]))
    files = input_files.find(S3(Guarded(boto3.client("s3"), "eu/reviews/*")), f"s3://{BUCKET}/eu/reviews/")
    assert [source.key for source in files.sources] == ["eu/reviews/part-0.parquet"]
    assert len(files.warnings) == 1 and "Delta" in files.warnings[0]


def test_a_table_that_a_run_wrote_is_read_without_a_warning(s3: S3) -> None:
    """In a user's bucket, functions may list only below the root of their installation."""
    put("reviews/output/sunday/part-00000.parquet", parquet(review=["good"]))
    guarded = S3(Guarded(boto3.client("s3"), "reviews/*"))
    uri = f"s3://{BUCKET}/reviews/output/sunday/"
    run = plan(guarded, "amazon.nova-lite-v1:0", s3_uri=uri, prompt={"text": "{review}"})
    assert (run["table"]["rows"], run["warnings"]) == (1, [])


def test_folders_give_columns(s3: S3) -> None:
    put("in/dt=2024-01-01/country=DE/part-0.parquet", parquet(review=["a", "b"]))
    put("in/dt=2024-01-02/country=C%C3%B4te%20d%27Ivoire/part-0.parquet", parquet(review=["c"]))
    put("in/dt=__HIVE_DEFAULT_PARTITION__/country=/part-0.parquet", parquet(review=["d"]))
    put("in/_dt=x/part-0.parquet", parquet(review=["e"]))
    put("in/extra.parquet", parquet(review=["f"]))
    table = describe(s3, f"s3://{BUCKET}/in/")
    rows = read_all(s3, table)
    assert rows == [
        {"review": "e", "_dt": "x", "dt": None, "country": None},
        {"review": "a", "_dt": None, "dt": "2024-01-01", "country": "DE"},
        {"review": "b", "_dt": None, "dt": "2024-01-01", "country": "DE"},
        {"review": "c", "_dt": None, "dt": "2024-01-02", "country": "Côte d'Ivoire"},
        {"review": "d", "_dt": None, "dt": None, "country": ""},
        {"review": "f", "_dt": None, "dt": None, "country": None},
    ]
    (some,) = shards_of(s3, table, columns=["dt"])
    assert [row["dt"] for row in some] == [row["dt"] for row in rows], "without any column of the files"


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_columns_of_folders_may_have_types(s3: S3, form: str) -> None:
    body = {"csv": b"review\na\n", "jsonl": b'{"review":"a"}\n', "parquet": parquet(review=["a"])}[form]
    for day in ("2024-01-01", "2024-01-02"):
        put(f"in/dt={day}/n=007/x.{form}", body)
    table = describe(s3, f"s3://{BUCKET}/in/", types={"dt": "date32", "n": "int32"})
    assert [(str(row["dt"]), row["n"]) for row in read_all(s3, table)] == [("2024-01-01", 7), ("2024-01-02", 7)]
    with pytest.raises(errors.MalformedInput, match="its folder is dt=2024-01-01, but the column has the type int64"):
        describe(s3, f"s3://{BUCKET}/in/", types={"dt": "int64"})
    with pytest.raises(errors.MissingColumn, match=r'input.types has "day", but the table .* review, dt, n'):
        describe(s3, f"s3://{BUCKET}/in/", types={"day": "int64"})


def test_a_column_of_the_file_counts_and_must_agree(s3: S3) -> None:
    put("in/n=007/x.parquet", parquet(review=["a", "b"], n=[7, 7]))
    put("in/n=8/x.parquet", parquet(review=["c"], n=[8]))
    table = describe(s3, f"s3://{BUCKET}/in/")
    assert [row["n"] for row in read_all(s3, table)] == [7, 7, 8]
    put("in/n=9/x.parquet", parquet(review=["c", "d"], n=[9, 10]))
    with pytest.raises(
        errors.MalformedInput,
        match=r"in/n=9/x.parquet: the value of row 2 in the column \"n\" differs from the folder n=9",
    ):
        read_all(s3, describe(s3, f"s3://{BUCKET}/in/"))
    put("in/n=9/x.parquet", parquet(review=["c"], n=pa.array([None], pa.int64())))
    with pytest.raises(errors.MalformedInput, match="the value of row 1 .* differs from the folder"):
        read_all(s3, describe(s3, f"s3://{BUCKET}/in/"))


def test_files_without_rows_take_no_part(s3: S3) -> None:
    put("in/0.parquet", parquet(review=pa.nulls(0), other=pa.nulls(0)))
    put("in/1.parquet", parquet(review=["a"]))
    put("in/2.parquet", b"")
    assert read_all(s3, describe(s3, f"s3://{BUCKET}/in/")) == [{"review": "a"}]
    put("csv/0.csv", b"another,header\n")
    put("csv/1.csv", b"review\nb\n")
    put("csv/2.csv", b"")
    assert read_all(s3, describe(s3, f"s3://{BUCKET}/csv/")) == [{"review": "b"}]
    put("none/0.csv", b"")
    with pytest.raises(errors.EmptyInput, match=r"none/0\.csv"):
        describe(s3, f"s3://{BUCKET}/none/")


def test_columns_come_by_name(s3: S3) -> None:
    put("in/0.parquet", parquet(a=["1"], b=[1]))
    put("in/1.parquet", parquet(b=[2], a=["2"]))
    assert read_all(s3, describe(s3, f"s3://{BUCKET}/in/")) == [{"a": "1", "b": 1}, {"a": "2", "b": 2}]
    put("csv/0.csv", b"a,b\n1,x\n")
    put("csv/1.csv", b"b,a\ny,2\n")
    assert read_all(s3, describe(s3, f"s3://{BUCKET}/csv/")) == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


@pytest.mark.parametrize(
    ("folder", "what"),
    [
        ("a=x/a=y", 'two of its folders name the column "a"'),
        ("a=x/%61=y", 'two of its folders name the column "a"'),
        ("a=%FF", "the bytes after % in the folder a=%FF are not UTF-8"),
    ],
)
def test_folders_that_would_lose_a_value_are_refused(s3: S3, folder: str, what: str) -> None:
    put(f"in/{folder}/0.parquet", parquet(review=["a"]))
    with pytest.raises(errors.InvalidRunInput, match=f"in/{folder}/0.parquet: {what}"):
        found(s3, "in/")


@pytest.mark.parametrize("folders", [["DT=x"], ["day=1/DT=x"], ["Day=x", "day=y"]])
def test_columns_of_folders_do_not_differ_in_case_alone(s3: S3, folders: list[str]) -> None:
    for folder in folders:
        put(f"in/{folder}/0.parquet", parquet(review=["a"], dt=["x"]))
    with pytest.raises(errors.InvalidRunInput, match="To Athena and Spark these are one column"):
        describe(s3, f"s3://{BUCKET}/in/")


def test_a_column_that_cannot_be_compared_with_its_folder_is_refused(s3: S3) -> None:
    put("in/h=0.5/0.parquet", parquet(review=["a"], h=pa.array([0.5], pa.float16())))
    with pytest.raises(errors.MalformedInput, match="its folder is h=0.5, but the column has the type halffloat"):
        read_all(s3, describe(s3, f"s3://{BUCKET}/in/"))


def test_a_large_folder_called_metadata_is_not_listed_to_its_end(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    put("t/data/part-0.parquet", parquet(a=[1]))
    listed, count = s3.list, 0

    def many(bucket: str, prefix: str) -> Any:
        nonlocal count
        if prefix != "t/metadata/":
            yield from listed(bucket, prefix)
            return
        for number in range(30_000):
            count += 1
            yield Object(bucket, f"{prefix}{number}", "e", 1)

    monkeypatch.setattr(s3, "list", many)
    assert found(s3, "t/data/") == ["t/data/part-0.parquet"]
    assert count == 10_000
