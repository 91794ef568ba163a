"""The file `checksums`: what a closed archive's files hash to, as `sha256sum -c` reads it.

Images are not in it: their hashes stand in the database. Written last, removed when writing begins.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from sdviz.archive.paths import ArchivePaths
from sdviz.pictures.files import write_aside

_LINE = re.compile(r"([0-9a-f]{64})  (sweep\.db|config\.yaml|grid\.png)")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def write_checksums(paths: ArchivePaths, *, database: bool) -> None:
    """Writes the file; without the database where its log could not be folded into it."""
    files = (*([paths.database] if database else []), paths.config, paths.grid)
    lines = [f"{file_hash(file)}  {file.name}\n" for file in files if file.is_file()]
    write_aside(paths.checksums, "".join(lines).encode())


def read_checksums(paths: ArchivePaths) -> dict[str, str] | None:
    """File name -> SHA-256; None where there is no such file, or one that is damaged."""
    try:
        lines = paths.checksums.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found = [_LINE.fullmatch(line) for line in lines]
    if not found or not all(found):
        return None
    return {match[2]: match[1] for match in found if match}
