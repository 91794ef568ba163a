"""A canvas at twice the size, for smooth edges: shapes, soft blobs, and ink lines if it has ink."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from experiments.miniature.world import SIZE

Colour = tuple[int, int, int]
Point = tuple[float, float]
SCALE = 2  # canvas pixels per picture pixel


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of b in a."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore


def scaled(points: Sequence[Point]) -> list[Point]:
    """Picture coordinates as canvas coordinates."""
    return [(x * SCALE, y * SCALE) for x, y in points]


@lru_cache(maxsize=512)
def soft_blob(width: int, height: int, strength: int) -> Image.Image:
    """A round mask that fades to its rim, 8-bit, `strength` percent in its middle."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    r2 = ((x + 0.5) / width * 2 - 1) ** 2 + ((y + 0.5) / height * 2 - 1) ** 2
    fade = np.clip(1 - r2, 0, 1) ** 2
    return Image.fromarray((fade * 2.55 * strength + 0.5).astype(np.uint8))


class Canvas:
    """What the scene is drawn on, in picture coordinates (0..SIZE), y down."""

    def __init__(self, ink: Colour | None) -> None:
        self.ink = ink
        self.image = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE))
        self.pen = ImageDraw.Draw(self.image)

    def fill(self, rows: np.ndarray) -> None:
        """The whole canvas from a float array (SIZE, SIZE, 3) in 0..255."""
        picture = Image.fromarray((rows + 0.5).astype(np.uint8))
        self.image.paste(picture.resize(self.image.size, Image.Resampling.BILINEAR))

    def blob(self, x: float, y: float, rx: float, ry: float, colour: Colour, share: float) -> None:
        """A soft round spot, for glows, clouds, shadows."""
        w, h = max(2, round(rx) * 2 * SCALE), max(2, round(ry * SCALE) * 2)
        mask = soft_blob(w, h, round(share * 100))
        self.image.paste(colour, (round(x * SCALE - w / 2), round(y * SCALE - h / 2)), mask)

    def disc(self, x: float, y: float, r: float, colour: Colour, flat: float = 1.0) -> None:
        """A disc, or, flattened, an ellipse."""
        box = scaled([(x - r, y - r * flat), (x + r, y + r * flat)])
        self.pen.ellipse([*box[0], *box[1]], fill=colour)

    def ring(self, x: float, y: float, r: float) -> None:
        """A circle in ink, if there is ink."""
        if self.ink:
            box = scaled([(x - r, y - r), (x + r, y + r)])
            self.pen.ellipse([*box[0], *box[1]], outline=self.ink, width=SCALE)

    def crescent(self, x: float, y: float, r: float, colour: Colour) -> None:
        """A moon whose dark side shows the sky."""
        n = round(2 * r * SCALE)
        mask = Image.new("L", (n, n))
        pen = ImageDraw.Draw(mask)
        pen.ellipse([0, 0, n - 1, n - 1], fill=255)
        pen.ellipse([n * 0.36, -n * 0.08, n * 1.24, n * 0.8], fill=0)
        corner = (round((x - r) * SCALE), round((y - r) * SCALE))
        if self.ink:
            self.image.paste(self.ink, (corner[0] - 2, corner[1] + 2), mask)
        self.image.paste(colour, corner, mask)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled shape."""
        self.pen.polygon(scaled(points), fill=colour)

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled shape that a drawing outlines."""
        self.polygon(points, colour)
        self.stroke([*points, points[0]])

    def stroke(self, points: Sequence[Point]) -> None:
        """A line in ink, if there is ink."""
        if self.ink:
            self.pen.line(scaled(points), fill=self.ink, width=SCALE + 1, joint="curve")

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A coloured line."""
        self.pen.line(scaled(points), fill=colour, width=round(width * SCALE))

    def ramp(self, top: float, bottom: float, first: Colour, last: Colour) -> None:
        """A vertical gradient over the full width."""
        t = np.linspace(0, 1, round((bottom - top) * SCALE), dtype=np.float32)[:, None]
        rows = np.array(first, np.float32) * (1 - t) + np.array(last, np.float32) * t
        strip = Image.fromarray((rows[:, None, :] + 0.5).astype(np.uint8))
        self.image.paste(strip.resize((SIZE * SCALE, strip.height)), (0, round(top * SCALE)))

    def dune(self, ridge: Sequence[Point], colour: Colour, crest: Colour) -> None:
        """A soft wave of ground: light at its crest, fading downwards into what lies below."""
        depth = 9
        for i in range(depth):
            shifted = [(x, y + i) for x, y in ridge]
            shade = mix(crest, colour, 0.35 + 0.65 * i / (depth - 1))
            self.line(shifted, shade, 1.6)

    def pixels(self) -> np.ndarray:
        """The picture at its own size: float32 array (SIZE, SIZE, 3) in 0..255."""
        return np.asarray(self.image.reduce(SCALE), dtype=np.float32)
