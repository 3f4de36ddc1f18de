"""A stand-in for the Hugging Face hub on loopback: datasets in memory, served as the hub serves them."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_test"
CONVERTED = "refs/convert/parquet"

_API = re.compile(r"/api/datasets/(?P<dataset>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
_FILE = re.compile(r"/datasets/(?P<dataset>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


@dataclass
class Dataset:
    """Commits by their sha, each a dict of paths and bytes; `branches` point at commits."""

    card: dict[str, Any] = field(default_factory=dict)
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def push(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Make a commit of exactly these files the branch's newest."""
        sha = hashlib.sha1(repr((branch, len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha


@dataclass
class StandIn:
    """The datasets by their id; `requests` are the paths asked for; `failing` is a status answered to all."""

    endpoint: str
    datasets: dict[str, Dataset] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    failing: int | None = None

    def answer(self, path: str, query: dict[str, list[str]], headers: Any) -> tuple[int, dict[str, str], bytes]:
        self.requests.append(path)
        if self.failing:
            return self.failing, {}, b""
        match = _API.fullmatch(path) or _FILE.fullmatch(path)
        dataset = self.datasets.get(unquote(match["dataset"])) if match else None
        if match is None or dataset is None:
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        if dataset.gated and headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"X-Error-Code": "GatedRepo"}, b""
        named = match.groupdict()
        revision = unquote(named["revision"] or "main")
        sha = dataset.branches.get(revision, revision)
        if sha not in dataset.commits:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        files = dataset.commits[sha]
        if "path" in named:
            return self._file(files, unquote(named["path"]), sha, headers)
        if named["what"] == "tree":
            # As many as one page has; the client follows the link to the next.
            start = int(query.get("cursor", ["0"])[0])
            entries = [_entry(name, body) for name, body in sorted(files.items())]
            link = {}
            if start + 2 < len(entries):
                link = {"Link": f'<{self.endpoint}{path}?recursive=true&cursor={start + 2}>; rel="next"'}
            return 200, link, json.dumps(entries[start : start + 2]).encode()
        about = {"id": match["dataset"], "sha": sha, "cardData": dataset.card, "private": False, "gated": dataset.gated}
        siblings = [{"rfilename": name} for name in sorted(files)]
        return 200, {}, json.dumps({**about, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0}).encode()

    def _file(self, files: dict[str, bytes], path: str, sha: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        if path not in files:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        body = files[path]
        about = {"X-Repo-Commit": sha, "ETag": f'"{hashlib.sha1(body).hexdigest()}"', "Accept-Ranges": "bytes"}
        if "Range" not in headers:
            return 200, about, body
        self.ranges.append(headers["Range"])
        start, end = (int(edge) for edge in headers["Range"].removeprefix("bytes=").split("-"))
        about["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
        return 206, about, body[start : end + 1]


def _entry(path: str, body: bytes) -> dict[str, Any]:
    return {"type": "file", "oid": hashlib.sha1(body).hexdigest(), "size": len(body), "path": path}


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Serve on a free port of loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            status, headers, body = hub.answer(url.path, parse_qs(url.query), self.headers)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = StandIn(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
