"""The bill of materials of a release, in CycloneDX: what the zips hold, read in the zips themselves."""

import email
import json
import re
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NAME = "bedrock-batch"


def cyclonedx(version: str, zips: Mapping[str, Path]) -> str:
    """Return the document for a version of the module and its zips, by their name in the manifest.

    It has no time and no random number: the same zips give the same bytes.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, path in zips.items():
        for component in components(path):
            one = found.setdefault(component["bom-ref"], component)
            one["properties"].append({"name": f"{NAME}:zip", "value": name})
    root = f"pkg:generic/{NAME}@{version}"
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": NAME, "version": version, "bom-ref": root, "purl": root}
        },
        "components": [found[reference] for reference in sorted(found)],
        "dependencies": [{"ref": root, "dependsOn": sorted(found)}],
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{number}"}, indent=2) + "\n"


def components(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the distributions in a zip, by the metadata that each brings."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".dist-info/METADATA"):
                yield component(archive.read(name).decode())


def component(metadata: str) -> dict[str, Any]:
    about = email.message_from_string(metadata)
    name, version = str(about["Name"]), str(about["Version"])
    package = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
    return {
        "type": "library",
        "name": name,
        "version": version,
        "bom-ref": package,
        "purl": package,
        "licenses": list(
            licences(about.get("License-Expression"), about.get("License"), about.get_all("Classifier", []))
        ),
        "properties": [],
    }


def licences(expression: str | None, text: str | None, classifiers: list[str]) -> Iterator[dict[str, Any]]:
    """Yield what a distribution says of its licence: the expression, or else its name, or else its classifiers."""
    named = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: OSI Approved ::")]
    if expression:
        yield {"expression": expression}
    elif text and "\n" not in text and len(text) < 60:
        yield {"license": {"name": text}}
    else:
        yield from ({"license": {"name": one}} for one in named)
