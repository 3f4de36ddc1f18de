"""Batches are cut by their decoded bytes, even if an encoding holds a text only once."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.table import batch_bytes

TEXTS = st.none() | st.text(max_size=30)
KINDS: dict[str, Any] = {
    "text": lambda texts: pa.array(texts, pa.string()),
    "large text": lambda texts: pa.array(texts, pa.large_string()),
    "dictionary": lambda texts: pa.array(texts, pa.string()).dictionary_encode(),
    "struct": lambda texts: pa.StructArray.from_arrays([pa.array(texts, pa.string()).dictionary_encode()], ["t"]),
    "list": lambda texts: pa.array([[text, text] for text in texts], pa.list_(pa.string())),
    "large list": lambda texts: pa.array([[text] if text else None for text in texts], pa.large_list(pa.string())),
    "map": lambda texts: pa.array([[("k", text)] for text in texts], pa.map_(pa.string(), pa.string())),
    "vector": lambda texts: pa.array([[1.0, 2.0] if text else None for text in texts], pa.list_(pa.float32(), 2)),
    "bytes": lambda texts: pa.array([text.encode() if text else None for text in texts], pa.binary()),
    "fixed bytes": lambda texts: pa.array([bytes(5) if text else None for text in texts], pa.binary(5)),
    "extension": lambda texts: pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([bytes(16)] * len(texts), pa.binary(16))
    ),
    "null": lambda texts: pa.nulls(len(texts)),
    "bool": lambda texts: pa.array([bool(text) for text in texts]),
}


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(TEXTS, min_size=1, max_size=20), most=st.integers(1, 200), skip=st.integers(0, 3))
def test_a_cut_keeps_the_rows_and_the_bound(kind: str, texts: list[str | None], most: int, skip: int) -> None:
    column = KINDS[kind](texts).slice(min(skip, len(texts) - 1))
    batch = pa.record_batch({"column": column})
    parts = list(batch_bytes.cut(batch, most))
    assert pa.Table.from_batches(parts).to_pylist() == batch.to_pylist()
    sizes = batch_bytes.of_rows(batch)
    assert len(sizes) == batch.num_rows and (sizes >= 0).all()
    for part in parts:
        assert (
            part.num_rows == 1 or batch_bytes.of_rows(part).sum() <= most or (len(parts) == 1 and batch.nbytes <= most)
        )


def test_a_text_of_a_dictionary_counts_in_every_row_that_has_it() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0], pa.int8()), pa.array(["x" * 1000, "y"]))
    for kind in (column, pa.StructArray.from_arrays([column], ["t"])):
        sizes = batch_bytes.of_rows(pa.record_batch({"column": kind}))
        assert (np.abs(sizes - [1000, 1, 1000, 1000]) < 10).tolist() == [True, True, True, True], (
            "a null hides the first"
        )
        assert [part.num_rows for part in batch_bytes.cut(pa.record_batch({"column": kind}), 1_500)] == [2, 1, 1]
