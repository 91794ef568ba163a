"""Fonts that have the glyphs: Latin from DejaVu or Pillow's own, Chinese from the system."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

# Where Linux, macOS and Windows keep fonts: one with Latin glyphs, then those with Chinese.
_KNOWN = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/STHeiti Light.ttc",
    "/System/Library/Fonts/Hiragino Sans GB.ttc",
    "/Library/Fonts/Arial Unicode.ttf",
    "C:/Windows/Fonts/msyh.ttc",
    "C:/Windows/Fonts/simhei.ttf",
    "C:/Windows/Fonts/simsun.ttc",
)
Font = ImageFont.FreeTypeFont


class Typeface:
    """Draws text in one size, each character from the first font that has it."""

    def __init__(self, size: int, text: str = "") -> None:
        """Looks for fonts until every character of `text` has one."""
        self.size = size
        self.line = round(size * 1.35)  # pixels from one line to the next
        self._fonts: list[Font] = [_default(size)]
        self._choice: dict[str, Font] = {}
        self.missing = ""  # characters of `text` that no font has
        need = {c for c in text if c.isprintable() and not has(self._fonts[0], c)}
        for file in _candidates(need):
            if not need:
                break
            font = _load(file, size)
            if font is not None and any(has(font, c) for c in need):
                self._fonts.append(font)
                need = {c for c in need if not has(font, c)}
        self.missing = "".join(sorted(need))

    def width(self, text: str) -> float:
        """Pixels that one line takes."""
        return sum(font.getlength(part) for font, part in self._runs(text))

    def draw(self, on: ImageDraw.ImageDraw, x: float, y: float, text: str, fill: str) -> None:
        """Draws one line, its ascenders' top near y."""
        for font, part in self._runs(text):
            on.text((x, y + self.size), part, font=font, fill=fill, anchor="ls")
            x += font.getlength(part)

    def wrap(self, text: str, width: float, lines: int) -> list[str]:
        """`text` in at most `lines` lines of `width` pixels; what is cut ends in an ellipsis."""
        done: list[str] = []
        for paragraph in text.split("\n"):
            done += self._wrap_paragraph(" ".join(paragraph.split()), width, lines + 1 - len(done))
        if len(done) > lines:
            done = done[:lines]
            while done[-1] and self.width(done[-1] + "…") > width:
                done[-1] = done[-1][:-1]
            done[-1] += "…"
        return done

    def _wrap_paragraph(self, text: str, width: float, lines: int) -> list[str]:
        done: list[str] = []
        while text and len(done) < lines:
            cut = self._fitting(text, width)
            space = text.rfind(" ", 0, cut + 1) if cut < len(text) else -1
            # Chinese has no spaces: a line breaks after any of its characters.
            if space > 0 and text[cut - 1 : cut + 1].isascii():
                cut = space
            done.append(text[:cut].rstrip())
            text = text[cut:].lstrip()
        return done

    def _fitting(self, text: str, width: float) -> int:
        """How many characters fit; at least one, so that wrapping ends."""
        low, high = 1, min(len(text), 400)
        while low < high:
            middle = (low + high + 1) // 2
            if self.width(text[:middle]) <= width:
                low = middle
            else:
                high = middle - 1
        return low

    def _runs(self, text: str) -> Iterator[tuple[Font, str]]:
        """`text` in parts of one font each; what cannot be shown becomes a box."""
        part, current = "", self._fonts[0]
        for char in text:
            font = self._font(char)
            if font is not current and part:
                yield current, part
                part = ""
            current, part = font, part + (char if char.isprintable() else " ")
        if part:
            yield current, part

    def _font(self, char: str) -> Font:
        if char not in self._choice:
            self._choice[char] = next((f for f in self._fonts if has(f, char)), self._fonts[0])
        return self._choice[char]


@lru_cache(maxsize=4096)
def has(font: Font, char: str) -> bool:
    """Whether a font has a glyph: whether it draws the character unlike one that no font has."""
    if char.isspace():
        return True
    try:
        mask, nothing = font.getmask(char), font.getmask("\U0010fffe")
    except (OSError, ValueError):
        return False
    return mask.size != nothing.size or bytes(mask) != bytes(nothing)


def _default(size: int) -> Font:
    dejavu = _load(_KNOWN[0], size)
    if dejavu is not None:
        return dejavu
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


@lru_cache(maxsize=64)
def _load(file: str, size: int) -> Font | None:
    if not Path(file).is_file():
        return None
    try:
        return ImageFont.truetype(file, size)
    except OSError:
        return None


def _candidates(need: set[str]) -> Iterator[str]:
    if need:
        yield from _KNOWN[1:]
        yield from _fontconfig("".join(sorted(need)[:20]))


@lru_cache(maxsize=16)
def _fontconfig(chars: str) -> tuple[str, ...]:
    """Files that fontconfig, where there is one, proposes for these characters."""
    program = shutil.which("fc-list")
    if program is None:
        return ()
    paths: list[str] = []
    for char in chars:
        command = [program, f":charset={ord(char):x}", "file"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return tuple(paths)
        files = [line.rstrip(": ") for line in answer.stdout.splitlines()]
        paths += [f for f in files[:3] if f.endswith((".ttf", ".ttc", ".otf")) and f not in paths]
    return tuple(paths)
