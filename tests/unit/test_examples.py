"""The documents in docs/examples are valid run inputs, and the models' stand-ins accept their records."""

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from bedrock_batch.models import catalogue, prompts, refusals, request_body
from bedrock_batch.records import media
from bedrock_batch.records.render import Renderer
from bedrock_batch.run_input import validate
from local.bedrock import models
from local.sample import write_reviews

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.json"))
REVIEWS = pa.record_batch({"review": ["Fine."], "product": ["lamp"]})
FOLDERS = {"day": pa.array([date(2026, 11, 1)]), "country": pa.array(["DE"])}
"""The column that the names of folders add."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_plans(path: Path) -> None:
    asked = validate.validate(json.loads(path.read_text("utf-8")))
    rows = REVIEWS
    for name in media.PLACES[asked["media"]["source"]] if "media" in asked else ():
        rows = rows.append_column(name, pa.array(["s3://bucket/0.png"]))
    for name, cells in FOLDERS.items() if path.stem == "folders" else ():
        rows = rows.append_column(name, cells)
    for model_id in validate.model_ids(asked):
        family = catalogue.resolve(model_id, asked.get("invocation_type"))
        assert refusals.check_model(family, model_id, "us-east-1") == []
        composed = request_body.compose(family, validate.of_model(asked, model_id), prompts.resolve(asked, {}, family))
        assert composed.warnings == []
        record = json.loads(Renderer(composed.request, rows.schema).render(rows, 0).data)
        take = models.converse if family.invocation_type == "Converse" else models.invoke
        assert json.loads(take(family.model, record["modelInput"]).body)


def test_there_is_an_example_of_every_kind_and_its_columns_are_the_sample_tables(tmp_path: Path) -> None:
    kinds = {
        "text",
        "few-shot",
        "structured",
        "invoke-model",
        "embeddings",
        "own-request",
        "several-models",
        "photos",
        "folders",
    }
    assert kinds | {"folders"} <= {path.stem for path in EXAMPLES}
    write_reviews(tmp_path / "reviews.csv", rows=1)
    header = (tmp_path / "reviews.csv").read_text("utf-8").splitlines()[0]
    assert set(REVIEWS.schema.names) <= {name.strip('"') for name in header.split(",")}
