"""What goes wrong while somebody's file is read, as one sentence about it."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import UserError

#: What a file was to be.
JSON, TABLE = "whole JSON", "a whole table"
_DAMAGED = (csv.Error, ValueError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError)


@contextmanager
def read_safely(name: str, what: str = JSON) -> Iterator[None]:
    """Turn whatever goes wrong while a file of that name is read into one sentence; `what` is what it was to be."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"'{name}' is missing; give the path of a data set's file or folder, all of it.") from error
    except PermissionError as error:
        raise UserError(f"'{name}' cannot be read; let this user read it.") from error
    except _DAMAGED as error:
        raise UserError(f"'{name}' is damaged (not {what}); fetch it anew.") from error
