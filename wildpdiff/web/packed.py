"""The scripts of the page as it fetches them, Plotly's and its own: packed once, not anew for every visitor."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import plotly
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PLOTLY_FILE = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
#: Where it is served; the version is in the address, so that a browser may keep it for good.
PLOTLY_PATH = f"plotly/{plotly.__version__}"
MODULES = Path(__file__).parent / "js"


@dataclass(frozen=True)
class Packed:
    """A script that a browser may keep for good, because its address changes with it."""

    file: Path

    @cached_property
    def small(self) -> bytes:
        """The script for a browser that unpacks it."""
        return gzip.compress(self.file.read_bytes())

    async def answer(self, request: Request) -> Response:
        """The script, packed if the browser can unpack it."""
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return Response(self.file.read_bytes(), media_type="text/javascript", headers=headers)
        return Response(self.small, media_type="text/javascript", headers=headers | {"Content-Encoding": "gzip"})


@cache
def modules() -> dict[str, Path]:
    """The page's own modules by their address, relative to the page's; `main.js` comes last."""
    files = sorted(MODULES.glob("*.js"), key=lambda file: (file.name == "main.js", file.name))
    version = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    return {f"scripts/{version}/{file.name}": file for file in files}


def routes() -> list[Route]:
    """What the app serves beside Gradio."""
    return [Route(f"/{path}", Packed(file).answer) for path, file in {PLOTLY_PATH: PLOTLY_FILE, **modules()}.items()]
