"""A stand-in for the Hugging Face hub on this machine: what of its protocol huggingface_hub speaks for models.

Repositories with branches and commits, files by git or LFS, reading with ETags and redirects, tokens, and the hub's
ways to refuse. Nothing in it is the product's: it answers what the client's source asks for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from web import listening

#: Who may write, and who may read what is private but write nothing.
WRITER, READER = "hf_writer", "hf_reader"
#: Files of more bytes go by LFS.
LARGE = 10_000


@dataclass
class Stored:
    """A repository: its commits, each a whole tree, and what each branch points to."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"0" * 40: {}})
    branches: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})
    gated: bool = False

    def at(self, revision: str) -> str | None:
        """The commit that a revision means."""
        return self.branches.get(revision) or (revision if revision in self.commits else None)

    def commit(self, branch: str, tree: dict[str, bytes]) -> str:
        """A new commit on a branch."""
        content = "".join(f"{name}{hashlib.sha1(part).hexdigest()}" for name, part in sorted(tree.items()))
        number = hashlib.sha1(f"{len(self.commits)}{content}".encode()).hexdigest()
        self.commits[number], self.branches[branch] = tree, number
        return number

    @property
    def files(self) -> dict[str, bytes]:
        """What `main` holds."""
        return self.commits[self.branches["main"]]


@dataclass
class StandIn:
    """What the stand-in holds, and what it was asked."""

    repos: dict[str, Stored] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    #: Names of the large files that were asked for, by their checksums.
    linked: dict[str, str] = field(default_factory=dict)
    #: Answer all with this status, as a hub that is down.
    down: int | None = None
    address: str = ""

    def sent(self) -> list[str]:
        """Names of the files whose bytes were fetched."""
        paths = [path for how, path in self.asked if how == "GET"]
        small = [path.partition("/resolve/")[2].partition("/")[2] for path in paths if "/resolve/" in path]
        return small + [self.linked[path.removeprefix("/cdn/")] for path in paths if path.startswith("/cdn/")]

    def forget(self) -> None:
        """Forget what was asked."""
        self.asked.clear()


class _RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str = "", body: Any = None) -> None:
        super().__init__(status)
        self.status, self.code, self.body = status, code, body


class _Handler(BaseHTTPRequestHandler):
    hub: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    @property
    def token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        body = self._body()
        try:
            if self.hub.down:
                raise _RefusedError(self.hub.down)
            for pattern, answer in _ROUTES:
                if found := re.fullmatch(pattern, f"{self.command} {path}"):
                    answer(self, body, *found.groups())
                    return
            raise _RefusedError(404)
        except _RefusedError as refused:
            headers = {"X-Error-Code": refused.code} if refused.code else {}
            self.reply(refused.status, refused.body or {"error": refused.code}, headers)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = b""
        while size := int(self.rfile.readline(), 16):
            parts += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return parts

    def reply(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        """Answer with bytes or JSON."""
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def repo(self, name: str, *, writing: bool = False) -> Stored:
        """A repository that the token may read, or write."""
        found = self.hub.repos.get(name)
        if found is None or (found.private and self.token not in (WRITER, READER)):
            raise _RefusedError(404 if self.token else 401, "RepoNotFound")
        if found.gated and self.token != WRITER:
            raise _RefusedError(403, "GatedRepo")
        if writing and self.token != WRITER:
            raise _RefusedError(403)
        return found

    def tree(self, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        """The commit and the files of a revision."""
        repo = self.repo(name)
        commit = repo.at(revision)
        if commit is None:
            raise _RefusedError(404, "RevisionNotFound")
        return commit, repo.commits[commit]

    # What is asked

    def create(self, body: bytes) -> None:
        order = json.loads(body)
        if self.token != WRITER:
            raise _RefusedError(403 if self.token else 401)
        name = f"{order['organization']}/{order['name']}"
        url = {"url": f"{self.hub.address}/{name}"}
        if name in self.hub.repos:
            raise _RefusedError(409, body=url)
        self.hub.repos[name] = Stored(order.get("visibility") == "private" or bool(order.get("private")))
        self.reply(200, url)

    def branch(self, body: bytes, name: str, branch: str) -> None:
        repo = self.repo(name, writing=True)
        if branch in repo.branches:
            raise _RefusedError(409)
        repo.branches[branch] = repo.branches["main"]
        self.reply(200, {})

    def info(self, body: bytes, name: str, revision: str | None) -> None:
        commit, tree = self.tree(name, revision or "main")
        siblings = [{"rfilename": path} for path in tree]
        private = self.hub.repos[name].private
        self.reply(200, {"id": name, "sha": commit, "private": private, "siblings": siblings})

    def listing(self, body: bytes, name: str, revision: str) -> None:
        _, tree = self.tree(name, revision)
        self.reply(200, [_entry(path, part) for path, part in tree.items()])

    def validate(self, body: bytes) -> None:
        front = json.loads(body)["content"].split("---\n")
        errors = [] if len(front) > 2 else [{"message": "no front matter"}]
        self.reply(400 if errors else 200, {"errors": errors, "warnings": []})

    def preupload(self, body: bytes, name: str, revision: str) -> None:
        self.repo(name, writing=True)
        modes = [
            {"path": each["path"], "uploadMode": "lfs" if each["size"] > LARGE else "regular", "shouldIgnore": False}
            for each in json.loads(body)["files"]
        ]
        self.reply(200, {"files": modes})

    def batch(self, body: bytes, name: str) -> None:
        self.repo(name, writing=True)
        objects = json.loads(body)["objects"]
        for each in objects:
            if each["oid"] not in self.hub.objects:
                each["actions"] = {"upload": {"href": f"{self.hub.address}/lfs/{each['oid']}"}}
        self.reply(200, {"transfer": "basic", "objects": objects})

    def put(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _RefusedError(400)
        self.hub.objects[oid] = body
        self.reply(200, b"")

    def commit(self, body: bytes, name: str, branch: str) -> None:
        repo = self.repo(name, writing=True)
        tree = dict(repo.commits[repo.branches[branch]])
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                tree[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                tree[value["path"]] = self.hub.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                del tree[value["path"]]
        number = repo.commit(branch, tree)
        self.reply(200, {"commitUrl": f"{self.hub.address}/{name}/commit/{number}", "commitOid": number})

    def resolve(self, body: bytes, name: str, revision: str, path: str) -> None:
        commit, tree = self.tree(name, revision)
        if path not in tree:
            raise _RefusedError(404, "EntryNotFound")
        content, headers = tree[path], {"X-Repo-Commit": commit}
        if len(content) <= LARGE:
            self.reply(200, content, headers | {"ETag": f'"{_oid(content)}"'})
            return
        digest = hashlib.sha256(content).hexdigest()
        self.hub.objects[digest], self.hub.linked[digest] = content, path
        # Under another name, as the hub's own store of large files is another host, which must not see the token.
        store = self.hub.address.replace("127.0.0.1", "localhost")
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        self.reply(302, b"", headers | linked | {"Location": f"{store}/cdn/{digest}"})

    def cdn(self, body: bytes, oid: str) -> None:
        if self.token:
            raise _RefusedError(400)
        self.reply(200, self.hub.objects[oid], {"ETag": f'"{oid}"'})


_MODEL = r"/api/models/([^/]+/[^/]+)"
_ROUTES: tuple[tuple[str, Callable[..., None]], ...] = (
    (r"POST /api/repos/create", _Handler.create),
    (r"POST /api/validate-yaml", _Handler.validate),
    (rf"POST {_MODEL}/branch/(.+)", _Handler.branch),
    (rf"POST {_MODEL}/preupload/(.+)", _Handler.preupload),
    (rf"POST {_MODEL}/commit/(.+)", _Handler.commit),
    (rf"GET {_MODEL}(?:/revision/(.+))?", _Handler.info),
    (rf"GET {_MODEL}/tree/([^/]+)", _Handler.listing),
    (r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /lfs/(\w+)", _Handler.put),
    (r"(?:GET|HEAD) /cdn/(\w+)", _Handler.cdn),
    (r"(?:GET|HEAD) /([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _Handler.resolve),
)


def _oid(content: bytes) -> str:
    """The name that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}
    if len(content) > LARGE:
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return entry


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """A stand-in that listens until the block ends."""
    hub = StandIn()
    with listening(type("Handler", (_Handler,), {"hub": hub})) as hub.address:
        yield hub


def environment(address: str, home: Path) -> dict[str, str]:
    """What a process of its own needs to ask the stand-in and nobody else."""
    return {
        "HF_ENDPOINT": address,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def use(address: str, home: Path, patch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub in this process ask the stand-in, and keep its cache in a folder of the test's."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    # It waits half a minute for a hub that is down.
    patch.setattr(_http, "time", SimpleNamespace(**vars(time) | {"sleep": lambda _: None}))
    for name, value in environment(address, home).items():
        patch.setenv(name, value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        patch.delenv(name, raising=False)
    values = {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }
    for name, value in values.items():
        patch.setattr(constants, name, value)
