"""Rendering must give, byte for byte after parsing, what json.dumps of the same records would."""

import datetime
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedrock_batch.errors import MalformedInput, MissingColumn, UnsupportedRequest
from bedrock_batch.models.template import Place, parse
from bedrock_batch.record_ids import record_id
from bedrock_batch.records import render
from bedrock_batch.records.render import Renderer, Skipped

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('",\\\n\r\t\x00\x01\x1f\x7f\u2028 {}'))
BODY = {
    "schemaVersion": "messages-v1",
    "é\n": [{"text": 'Say "{a}"\n{{literal}} \\ \u2028 {b}{a}'}, {"text": "x{b}"}],
    "n": [1, 0.5, True, None, [], {}],
}


def filled(template: Any, row: dict[str, Any]) -> Any:
    """Return the body the slow, obvious way."""
    if isinstance(template, str):
        return "".join(row[part.name] if isinstance(part, Place) else part for part in parse(template).segments)
    if isinstance(template, dict):
        return {key: filled(value, row) for key, value in template.items()}
    return [filled(value, row) for value in template] if isinstance(template, list) else template


def lines(data: bytes) -> list[Any]:
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def batch_of(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=8), st.sampled_from([0, 7, 999_990]))
@example([('a",', '"'), (",", '",\n  "')], 0)
@example([("\x01\x02\x03", "\x1f")], 0)
@example([("", "")] * 3, 0)
def test_equals_json_of_the_same_records(rows: list[tuple[str, str]], first_row: int) -> None:
    batch = pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in (zip(*rows, strict=True) if rows else ([], []))], ["a", "b"]
    )
    rendered = Renderer(BODY, batch.schema, shard=42).render(batch, first_row)
    expected = [
        {"recordId": record_id(42, first_row + row), "modelInput": filled(BODY, {"a": a, "b": b})}
        for row, (a, b) in enumerate(rows)
    ]
    assert lines(rendered.data) == json.loads(json.dumps(expected))
    assert (rendered.records, rendered.skipped) == (len(rows), [])


@settings(max_examples=30)
@given(st.lists(ANY_TEXT, min_size=1, max_size=20))
def test_both_paths_give_the_same_bytes_whatever_the_chunk(texts: list[str]) -> None:
    batch = batch_of(a=texts, b=texts[::-1])
    usual = Renderer(BODY, batch.schema).render(batch, 0).data
    slow = Renderer(BODY, batch.schema)
    slow._join = slow._join_slowly  # type: ignore[method-assign]  # as if every cell held control bytes
    assert slow.render(batch, 0).data == usual
    parts = [Renderer(BODY, batch.schema).render(batch.slice(at, 3), at).data for at in range(0, len(texts), 3)]
    assert b"".join(parts) == usual


def test_plain_text_takes_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Renderer, "_join_slowly", None)
    batch = batch_of(a=['"x",\\', "y\n\t\r", "é😀\u2028\x7f"] * 600, b=["1"] * 1800)
    rendered = Renderer(BODY, batch.schema).render(batch, 0)
    assert [line["modelInput"]["n"] for line in lines(rendered.data)] == [BODY["n"]] * 1800


def test_more_places_than_marks() -> None:
    columns = {f"c{index}": [f"<{index}>", f"[{index}]"] for index in range(40)}
    batch = batch_of(**columns)
    body = {"t": " ".join(f"{{{name}}}" for name in columns)}
    first, second = lines(Renderer(body, batch.schema).render(batch, 0).data)
    assert first["modelInput"]["t"] == " ".join(f"<{index}>" for index in range(40))
    assert second["modelInput"]["t"] == " ".join(f"[{index}]" for index in range(40))


def test_large_cells() -> None:
    texts = ['"\n' * 500_000, "é" * 1_000_000, "x"]
    batch = batch_of(a=texts)
    rendered = Renderer({"t": "{a}{a}"}, batch.schema).render(batch, 0)
    assert [line["modelInput"]["t"] for line in lines(rendered.data)] == [text * 2 for text in texts]


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([7], pa.int8()), "7"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array([1.5]), "1.5"),
        (pa.array([True]), "true"),
        (pa.array([Decimal("1.20")]), "1.20"),
        (pa.array([datetime.date(2026, 11, 22)]), "2026-11-22"),
        (pa.array([datetime.datetime(2026, 11, 22, 10, 5)], pa.timestamp("s")), "2026-11-22 10:05:00"),
        (pa.array(["x"], pa.large_string()), "x"),
        (pa.array(["x"], pa.string_view()), "x"),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array([[1, None, 2]]), "[1,null,2]"),
        (pa.array([["é", '"']]), '["é","\\""]'),
        (pa.array([{"a": 1, "d": Decimal("1.0")}]), '{"a":1,"d":"1.0"}'),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), '{"k":1}'),
        (pa.array([[("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int64())), '[["k",1],["k",2]]'),
        (
            pa.array([{"m": [("k", 1), ("k", 2)]}], pa.struct([("m", pa.map_(pa.string(), pa.int64()))])),
            '{"m":[["k",1],["k",2]]}',
        ),
        (pa.array([[([1], 2)]], pa.map_(pa.list_(pa.int64()), pa.int64())), "[[[1],2]]"),
        (pa.array([[(Decimal("1.0"), 2)]], pa.map_(pa.decimal128(3, 1), pa.int64())), '{"1.0":2}'),
        (pa.array([[1]], pa.list_(pa.timestamp("ns"))), '["1970-01-01 00:00:00.000000001"]'),
        (pa.array([[1]], pa.list_(pa.time64("ns"))), '["00:00:00.000000001"]'),
        (pa.array([[1]], pa.list_(pa.duration("ns"))), "[1]"),
        (pa.array([[3_000_000]], pa.list_(pa.date32())), '["10183-09-21"]'),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else None,
)
def test_text_of_other_types(array: pa.Array, text: str) -> None:
    batch = pa.RecordBatch.from_arrays([array], ["c"])
    (line,) = lines(Renderer({"t": "{c}"}, batch.schema).render(batch, 0).data)
    assert line["modelInput"] == {"t": text}


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_binary(),
        pa.binary(3),
        pa.list_(pa.binary()),
        pa.struct([("x", pa.binary())]),
        pa.map_(pa.string(), pa.dictionary(pa.int8(), pa.binary())),
        pa.uuid(),
        pa.list_view(pa.int64()),
        pa.struct([("x", pa.int64()), ("x", pa.int64())]),
        pa.timestamp("us", tz="No/Where"),
    ],
)
def test_columns_without_a_text_form_are_refused_when_used(kind: pa.DataType) -> None:
    schema = pa.schema([("c", kind), ("d", pa.string())])
    assert Renderer({"t": "{d}"}, schema).columns == ["d"]
    with pytest.raises(UnsupportedRequest, match='"c"'):
        Renderer({"t": "{c}"}, schema)


def test_struct_fields_and_their_missing_parents() -> None:
    batch = pa.RecordBatch.from_pylist([{"s": {"x": 1}}, {"s": None}, {"s": {"x": None}}, {"s": {"x": 4}}])
    renderer = Renderer({"t": "{s.x}"}, batch.schema, nulls="skip")
    rendered = renderer.render(batch.slice(1), 1)
    assert [line["recordId"] for line in lines(rendered.data)] == [record_id(0, 3)]
    assert [(skip.row, skip.code) for skip in rendered.skipped] == [(1, "NullColumn"), (2, "NullColumn")]
    assert renderer.columns == ["s"]


def test_null_in_a_used_column() -> None:
    batch = batch_of(a=["x", None, " "], b=["1", "2", None], unused=[None, None, None])
    body = {"t": "{a}", "u": "({b})"}
    with pytest.raises(MalformedInput, match=r'Row 107 of the table .* column "a"'):
        Renderer(body, batch.schema, nulls="error", first_row=100).render(batch, 5)

    rendered = Renderer(body, batch.schema, nulls="skip").render(batch, 5)
    assert [line["modelInput"] for line in lines(rendered.data)] == [{"t": "x", "u": "(1)"}]
    assert rendered.skipped == [
        Skipped(6, "NullColumn", 'Column "a" is null.'),
        Skipped(7, "NullColumn", 'Column "b" is null.'),
    ]

    rendered = Renderer(body, batch.schema, nulls="empty").render(batch, 5)
    assert [(skip.row, skip.code) for skip in rendered.skipped] == [(6, "EmptyText"), (7, "EmptyText")]


@pytest.mark.parametrize(
    ("text", "row", "refused"),
    [
        ("{a}", {"a": "", "b": "x"}, True),
        ("{a}", {"a": " \t\u3000\n", "b": "x"}, True),
        ("{a}{b}", {"a": " ", "b": "x"}, False),
        ("{a}\n{b}", {"a": " ", "b": ""}, True),
        ("T: {a}", {"a": "", "b": ""}, False),
    ],
)
def test_blank_text_is_refused_where_only_places_make_it(text: str, row: dict[str, str], refused: bool) -> None:
    batch = pa.RecordBatch.from_pylist([{"a": "1", "b": "2"}, row])
    rendered = Renderer({"t": text}, batch.schema).render(batch, 0)
    assert [(skip.row, skip.code) for skip in rendered.skipped] == ([(1, "EmptyText")] if refused else [])
    assert rendered.records == 2 - refused


@pytest.mark.parametrize("nested", [False, True])
def test_text_that_is_not_utf8_is_an_error_and_not_a_broken_line(nested: bool) -> None:
    offsets = pa.py_buffer(b"\0\0\0\0\1\0\0\0\3\0\0\0")
    column = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"aa\xff")])
    if nested:
        column = pa.StructArray.from_arrays([column], ["x"])
    batch = pa.RecordBatch.from_arrays([column], ["a"])
    with pytest.raises(MalformedInput, match='Row 107 of the table .* "a"'):
        Renderer({"t": "{a}"}, batch.schema, first_row=100).render(batch, 5)


def test_sizes_add_up() -> None:
    batch = batch_of(a=["12345", 'x"y'])
    renderer = Renderer({"role": "user", "t": "Say: {a}!"}, batch.schema)
    rendered = renderer.render(batch, 0)
    cells = len("12345") + len('x\\"y')
    assert len(rendered.data) == 2 * renderer.structure_bytes + cells
    assert rendered.text_bytes == 2 * len("userSay: !") + cells


def test_a_request_must_name_columns_of_the_table() -> None:
    schema = pa.schema([("a", pa.string())])
    with pytest.raises(MissingColumn):
        Renderer({"t": "{b}"}, schema)
    with pytest.raises(UnsupportedRequest, match="no column"):
        Renderer({"t": "constant"}, schema)


def test_chunks_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_CHUNK_BYTES", 10_000)
    sizes = []
    plain = Renderer._join

    def spy(self: Renderer, parts: list[pa.Array]) -> bytes:
        sizes.append(len(parts[0]))
        return plain(self, parts)

    monkeypatch.setattr(Renderer, "_join", spy)
    batch = batch_of(a=["x" * 1_000] * 100)
    assert Renderer({"t": "{a}"}, batch.schema).render(batch, 0).records == 100
    assert max(sizes) < 10 and sum(sizes) == 100
