"""Run the documents of docs/examples unchanged on the sample table."""

import json

import pytest

from local.provision import ROOT
from local.sample import write_products, write_reviews
from tests.e2e.batch import Batch

pytestmark = pytest.mark.e2e

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.json"))
ROWS = 120
FOLDERS = ("day=2026-11-01/country=DE", "day=2026-11-02/country=JP")


@pytest.fixture(scope="module")
def executions(batch: Batch, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every example started at once: its name and its execution's ARN."""
    path = tmp_path_factory.mktemp("sample") / "reviews.csv"
    write_reviews(path, rows=ROWS)
    uris = {"s3://my-bucket/reviews.csv": batch.upload("examples/reviews.csv", path.read_bytes())}
    write_reviews(path, rows=ROWS // 2)
    for folder in FOLDERS:
        last = batch.upload(f"examples/reviews/{folder}/reviews.csv", path.read_bytes())
    uris["s3://my-bucket/reviews/"] = last.removesuffix(f"{folder}/reviews.csv")
    for number in range(5):
        photo = batch.upload(f"examples/photos/{number}.png", bytes([number]))
    write_products(path, rows=ROWS, photos=photo.removesuffix("4.png"))
    uris["s3://my-bucket/products.csv"] = batch.upload("examples/products.csv", path.read_bytes())
    judgement = {"sentiment": "mixed", "stars": 3, "topics": ["noise"]}
    batch.engine.configure(
        answers=[{"prompt_contains": "Judge this review of a", "text": f"Here it is: {json.dumps(judgement)}"}]
    )
    started = {}
    for example in EXAMPLES:
        asked = json.loads(example.read_text("utf-8"))
        started[example.stem] = batch.start(f"example-{example.stem}", asked | {"s3_uri": uris[asked["s3_uri"]]})
    return started


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_an_example_answers_every_row(batch: Batch, executions: dict[str, str], name: str) -> None:
    ended = batch.wait(executions[name])
    assert (ended.status, ended.error, ended.cause) == ("SUCCEEDED", "", "")
    model_id = json.loads((ROOT / "docs" / "examples" / f"{name}.json").read_text("utf-8"))["model_id"]
    tables = len(model_id) if isinstance(model_id, list) else 1
    assert ended.output["outcomes"]["succeeded"] == ROWS * tables
    table = batch.table(ended.run_id)
    assert table.num_rows == ROWS * tables
    if name == "photos":
        copies = [key for key in batch.keys(f"e2e/work/{ended.run_id}/input/00000/") if key.endswith(".png")]
        assert sorted(batch.read(key) for key in copies) == [bytes([number]) for number in range(5)]
    if name == "folders":
        found = [f"day={row['day']}/country={row['country']}" for row in table.select(["day", "country"]).to_pylist()]
        assert found == [folder for folder in FOLDERS for _ in range(ROWS // 2)]
    if name == "structured":
        assert set(table["review_sentiment"].to_pylist()) == {"mixed"}
        assert set(table["review_stars"].to_pylist()) == {3}
