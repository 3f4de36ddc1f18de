"""A sample table: product reviews with everything that makes CSV difficult."""

import csv
import random
from pathlib import Path

_OPENINGS = ("I bought this", "My sister got this", "We ordered the thing", "Für den Preis", "他说", "Honestly")
_MIDDLES = {  # A customer's words, and the fewest and the most stars for them.
    "and it works, mostly": (4, 4),
    'and the box said "fragile", yet it was thrown': (1, 2),
    "and after two weeks it broke,\nthen the support fixed it": (3, 3),
    "and I would buy it again 👍": (5, 5),
    "but the manual is in Español only": (2, 3),
    "and it smells of {burnt} toast": (1, 2),
}
_PRODUCTS = ("kettle", "lamp", "tent", "keyboard", "bicycle pump")


def write_reviews(path: Path, *, rows: int) -> None:
    """Write a CSV with the columns review_id, zip, product, review; some reviews hold quotes and line breaks."""
    draw = random.Random(7)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review_id", "zip", "product", "review"])
        for number in range(rows):
            said = draw.choice(list(_MIDDLES))
            text = f"{draw.choice(_OPENINGS)} {said} ({draw.randint(*_MIDDLES[said])} of 5 stars)."
            writer.writerow([f"r-{number:06d}", f"{draw.randint(0, 99999):05d}", draw.choice(_PRODUCTS), text])


def write_products(path: Path, *, rows: int, photos: str) -> None:
    """Write a CSV with the columns product and photo; a photo is one of `{photos}0.png` to `{photos}4.png`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["product", "photo"])
        for number in range(rows):
            kind = number % len(_PRODUCTS)
            writer.writerow([_PRODUCTS[kind], f"{photos}{kind}.png"])
