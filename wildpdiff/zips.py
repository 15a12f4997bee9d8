"""Zips of strangers, opened in memory: what may be opened at all, or one sentence that says why not."""

from __future__ import annotations

import zipfile
from io import BytesIO

from .errors import UserError

#: How other archives begin that people rename to .zip.
_OTHERS = {b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7z archive", b"\x1f\x8b": "a gzip (.tar.gz) archive"}
#: Numbers of packing methods, as zips name them; Python unpacks those of `_READ`.
_METHODS = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 10: "PKWARE DCL", 16: "CMPSC", 18: "TERSE", 19: "LZ77", 20: "Zstandard",
    93: "Zstandard", 94: "MP3", 95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES encryption",
}  # fmt: skip
_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def opened(data: bytes, *, most: int, advice: str) -> zipfile.ZipFile:
    """A zip to read from.

    Args:
        data: the whole file.
        most: entries that it may have.
        advice: what to send instead, as in "zip a PEFT folder and send that".

    Raises:
        UserError: if it is none, damaged, or has more entries.
    """
    # Every entry of the directory starts with these four bytes, so counting them bounds it before it is read.
    if data.count(b"PK\x01\x02") > most:
        raise UserError(f"The zip has more than {most:,} files; {advice}.")
    other = next((name for start, name in _OTHERS.items() if data.startswith(start)), None)
    if other is not None:
        raise UserError(f"The file is {other} and no zip; {advice}.")
    try:
        return zipfile.ZipFile(BytesIO(data))
    except Exception:  # a hostile or damaged zip makes zipfile raise nearly anything
        raise UserError(f"The file is no zip, or it is damaged; {advice}.") from None


def check_packing(info: zipfile.ZipInfo) -> None:
    """Refuse an entry that cannot be unpacked here.

    Raises:
        UserError: if it is encrypted, or packed by another method than zips usually are.
    """
    if info.flag_bits & 0x1 or info.compress_type == 99:
        raise UserError("The zip is encrypted; pack it again without a password.")
    if info.compress_type not in _READ:
        method = _METHODS.get(info.compress_type, f"method {info.compress_type}")
        raise UserError(
            f"The zip is packed with {method}, which is not read here; pack it again by the usual method, Deflate."
        )


def content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, name: str) -> bytes:
    """An entry's bytes, never more than `most` and one.

    Raises:
        UserError: as `check_packing`, or if it is damaged; it is called by `name`.
    """
    check_packing(info)
    try:
        with archive.open(info) as file:
            return file.read(most + 1)
    except Exception:  # as in `opened`
        raise UserError(f"{name} is damaged inside the zip; pack it again.") from None
