"""The file `checksums`: what a closed archive's files hash to, as `sha256sum -c` reads it.

Images are not in it: their hashes stand in the database. Written last, removed when writing begins.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from sdviz.archive.paths import ArchivePaths
from sdviz.regular_files import is_regular, open_regular, read_regular

_LONGEST = 1000  # bytes; three lines
_LINE = re.compile(r"([0-9a-f]{64})  (sweep\.db|config\.yaml|grid\.png)")


def file_hash(path: Path) -> str:
    """SHA-256 of a regular file, in hexadecimal digits. Raises OSError."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def write_checksums(paths: ArchivePaths, *, database: bool) -> None:
    """Writes the file; without the database where its log could not be folded into it."""
    files = (*([paths.database] if database else []), paths.config, paths.grid)
    lines = [f"{file_hash(file)}  {file.name}\n" for file in files if is_regular(file)]
    paths.write(paths.checksums, "".join(lines).encode())


def read_checksums(paths: ArchivePaths) -> dict[str, str] | None:
    """File name -> SHA-256; None where there is no such file, or one that is damaged."""
    try:
        lines = read_regular(paths.checksums, _LONGEST).decode("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    matches = [_LINE.fullmatch(line) for line in lines]
    if not matches or not all(matches):
        return None
    return {match[2]: match[1] for match in matches if match}
