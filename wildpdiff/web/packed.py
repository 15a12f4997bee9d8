"""Plotly's script as the page fetches it: packed once, where Gradio would pack its 4.8 MB anew for every visitor."""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

import plotly
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PLOTLY_FILE = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
#: Where it is served; the version is in the address, so that a browser may keep it for good.
PLOTLY_PATH = f"plotly/{plotly.__version__}"


def routes() -> list[Route]:
    """What the app serves beside Gradio."""
    return [Route(f"/{PLOTLY_PATH}", _plotly)]


async def _plotly(request: Request) -> Response:
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return Response(PLOTLY_FILE.read_bytes(), media_type="text/javascript", headers=headers)
    return Response(_packed(), media_type="text/javascript", headers=headers | {"Content-Encoding": "gzip"})


@lru_cache(maxsize=1)
def _packed() -> bytes:
    return gzip.compress(PLOTLY_FILE.read_bytes())
