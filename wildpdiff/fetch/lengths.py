"""How large files are, asked without fetching them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx

from .one import client_for
from .patience import Patience


def lengths(addresses: Sequence[str], *, connections: int, patience: Patience) -> list[int]:
    """Bytes of those of some files whose server tells them, each asked once; none if there is no connection."""

    async def ask_all() -> list[int | None]:
        async with client_for(connections, patience) as client:
            return list(await asyncio.gather(*(_length(client, one) for one in addresses)))

    return [size for size in asyncio.run(ask_all()) if size]


async def _length(client: httpx.AsyncClient, address: str) -> int | None:
    try:
        answer = await client.head(address)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    length = answer.headers.get("Content-Length", "")
    return int(length) if answer.is_success and length.isascii() and length.isdigit() else None
