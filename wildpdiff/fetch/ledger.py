"""What a folder's files measured when they came, so that a file that lost its end is known."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from ..errors import UserError
from ..files import is_file, load_json, save_json

#: Seconds after which the ledger is written again.
OFTEN = 5.0


class Ledger:
    """Sizes of fetched files by name.

    A file that is not in it is believed to be whole, as it had no name before it was: a killed run's last files are
    not written down.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._saved = path, time.monotonic()
        self.sizes: dict[str, int] = {}
        with suppress(UserError):  # one that cannot be read tells nothing; the files themselves are there
            found = load_json(path)
            entries = found.items() if isinstance(found, dict) else ()
            self.sizes = {name: size for name, size in entries if isinstance(size, int)}

    def has(self, name: str, final: Path) -> bool:
        """Whether a file is there, and as long as it was when it came."""
        return is_file(final) and final.stat().st_size == self.sizes.get(name, final.stat().st_size)

    def note(self, name: str, size: int) -> None:
        """Write down that a file came; on disk it is some seconds later."""
        self.sizes[name] = size
        if time.monotonic() - self._saved > OFTEN:
            self.save()

    def save(self) -> None:
        """Put everything on the disk; where that is full, the files speak for themselves."""
        with suppress(UserError):
            save_json(self._path, self.sizes, close=True)
        self._saved = time.monotonic()
