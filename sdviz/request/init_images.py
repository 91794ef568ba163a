"""What `init=` names: an image file, or a finished cell of an archive. No torch.

init=photo.png                     a file
init=outputs/cfg-7f3a1c#3          cell 3 of an archive; the archive's name alone will do
init=8c1d0b7a52e3                  a cell by its key: twelve digits or more, in any archive
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from sdviz.archive.guard import guarded
from sdviz.archive.paths import DATABASE, archive_folders
from sdviz.archive.records import CellRecord
from sdviz.errors import ArchiveError, ConfigError, ConfigErrors, SdvizError
from sdviz.pictures import image_input
from sdviz.plan.config import InitImage, conf_dir

_CELL = re.compile(r"(?P<archive>.+)#(?P<number>\d{1,7})")
_KEY = re.compile(r"[0-9a-f]{12,64}")


def read(names: Iterable[str | None], outputs: Path) -> dict[str, InitImage]:
    """Every image that is named, read once to see that it can be. Raises ConfigErrors."""
    images: dict[str, InitImage] = {}
    errors: list[SdvizError] = []
    for name in dict.fromkeys(name for name in names if name):
        try:
            path = locate(name, outputs)
            pixels = image_input.identity(image_input.read(path, f"init={name}"))
            images[name] = InitImage(path=str(path.absolute()), pixels=pixels)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ConfigErrors(errors)
    return images


def locate(name: str, outputs: Path) -> Path:
    """The image file of `name`. Raises ConfigError if there is none."""
    file = Path(name).expanduser()
    shipped = conf_dir() / name  # a preset's own picture, experiment/restyle.png
    if file.is_file() or shipped.is_file():
        return file if file.is_file() else shipped
    cell = _CELL.fullmatch(name)
    if cell:
        return _of_cell(name, cell["archive"], int(cell["number"]), outputs)
    if _KEY.fullmatch(name):
        return _of_key(name, outputs)
    if file.is_dir():
        raise ConfigError(
            f"init={name}: is a folder; name an image or a cell: init={name}#0", key="init"
        )
    raise ConfigError(
        f"init={name}: no such file; name an image, or a cell such as outputs/<name>#3",
        key="init",
    )


def _of_cell(name: str, archive: str, number: int, outputs: Path) -> Path:
    places = [Path(archive).expanduser(), outputs / archive]
    root = next((place for place in places if (place / DATABASE).is_file()), None)
    if root is None:
        raise ConfigError(f"init={name}: there is no archive {archive}", key="init")
    image = _finished(root, name, lambda cell: cell.i == number)
    if image is None:
        raise ConfigError(f"init={name}: {root} has no finished cell {number}", key="init")
    return image


def _of_key(name: str, outputs: Path) -> Path:
    for root in archive_folders(outputs) if outputs.is_dir() else []:
        image = _finished(root, name, lambda cell: cell.key.startswith(name))
        if image is not None:
            return image
    raise ConfigError(
        f"init={name}: no archive in {outputs} has a finished cell with that key", key="init"
    )


def _finished(root: Path, name: str, wanted: Callable[[CellRecord], bool]) -> Path | None:
    """The image of the first finished cell that is wanted."""
    try:
        with guarded(root) as archive:
            for cell in archive.cells:
                if wanted(cell) and cell.status == "done" and cell.image:
                    return archive.paths.image(cell.image)
    except ArchiveError as error:
        raise ConfigError(f"init={name}: {error}", key="init") from None
    return None
