"""Users' own backgrounds by id: in memory only, each for the session that brought it, and forgotten with it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from ..errors import UserError
from ..universal.map import Known
from .setting import OWN

#: Backgrounds of one session, and sessions that have any; those that were longest not used go first.
OF_SESSION, SESSIONS = 8, 500
#: The session of what the house itself keeps here, which never goes.
HOUSE = "house"


@dataclass(frozen=True)
class Upload:
    """A user's own background, brought as a picture, as words or by inventing a place.

    Attributes:
        name: what the page calls it.
        embedding: `[E]`.
        picture: the square that is shown, uint8 `[3, size, size]`; of a picture, what the model sees.
        nearest: the seen locations that look most like it with their similarity, best first.
        notes: what there is to know about how it was read.
        known: what generator U knows of it; None if the bundle has no U.
    """

    name: str
    embedding: Tensor
    picture: Tensor
    nearest: tuple[tuple[str, float], ...]
    notes: tuple[str, ...] = ()
    known: Known | None = None


@dataclass
class Pictures:
    """What all sessions have brought; for any number of threads."""

    _sessions: dict[str, dict[str, Upload]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, session: str, upload: Upload) -> str:
        """Keep a session's background; returns the id by which a setting names it, which nobody can guess."""
        name = f"{OWN}-{secrets.token_hex(8)}"
        with self._lock:
            kept = self._sessions.pop(session, {}) | {name: upload}
            self._sessions[session] = dict(list(kept.items())[-OF_SESSION:])
            while len(self._sessions) > SESSIONS:
                del self._sessions[next(other for other in self._sessions if other != HOUSE)]
        return name

    def of(self, name: str) -> Upload:
        """The background of an id, which counts as used.

        Raises:
            UserError: if there is none, or no longer.
        """
        with self._lock:
            for session, kept in self._sessions.items():
                if name in kept:
                    upload = kept[name] = kept.pop(name)
                    self._sessions[session] = self._sessions.pop(session)
                    return upload
        raise UserError("This picture of your own is not here (any more); bring it again, or choose a named location.")

    def check(self, names: Iterable[str], session: str) -> None:
        """Refuse ids that are not a session's own.

        Raises:
            UserError: as `of`.
        """
        for name in names:
            self.of(name if name in self._sessions.get(session, {}) else "")

    def forget(self, session: str, name: str | None = None) -> list[str]:
        """Drop one of a session's backgrounds, or all; returns the ids of those that were there."""
        with self._lock:
            kept = self._sessions.get(session, {})
            gone = [known for known in kept if name in (None, known)]
            for known in gone:
                del kept[known]
            if not kept:
                self._sessions.pop(session, None)
        return gone
