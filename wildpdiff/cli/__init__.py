"""The `wildpdiff` command. Results go to stdout, with `--json` as one JSON document; progress goes to stderr."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from ..cores import cores
from ..errors import UserError, readable
from . import data, measuring, pdiff, training, using
from .shared import DEFAULT_BUNDLE, app, device_of, say

__all__ = ["DEFAULT_BUNDLE", "app", "data", "device_of", "main", "measuring", "pdiff", "training", "using"]

#: Exit status of what Ctrl-C ended.
INTERRUPTED = 130


def main() -> None:
    """Run the command line; a user's mistake ends with one sentence and exit status 2."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter gets a replacement, not a trace
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if cores() < (os.cpu_count() or 1):  # a container's share; the libraries see the whole machine
        os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
    try:
        sys.exit(_run())
    except UserError as error:
        print(f"wildpdiff: {readable(str(error))}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except BrokenPipeError:  # whoever read our output, as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        name = f"'{Path(os.fsdecode(error.filename)).name}'" if isinstance(error.filename, str | bytes) else "A file"
        reason = error.strerror or "unknown reason"
        print(f"wildpdiff: {readable(name)} cannot be read or written ({reason}).", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nwildpdiff: stopped; run the same command again to go on.", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)


def _run() -> int:
    """Run what was typed; the exit status. Options that do not fit are a user's mistake, too.

    Raises:
        UserError: with what click says of them. Which click typer brings along differs, so its errors are known by what
            they can do.
        KeyboardInterrupt: at Ctrl-C.
    """
    try:
        status = int(app(standalone_mode=False, prog_name="wildpdiff") or 0)
    except Exception as error:
        told = getattr(error, "format_message", None)
        if told is None or isinstance(error, UserError):
            raise
        text, where = str(told()), getattr(getattr(error, "ctx", None), "command_path", "wildpdiff")
        if "\n" in text:  # the help, as nothing was typed
            say(text)
            return 2
        raise UserError(f"{text.rstrip('.')}; see `{where} --help`.") from None
    if status == INTERRUPTED:  # typer makes an exit of Ctrl-C, and says nothing
        raise KeyboardInterrupt
    return status
