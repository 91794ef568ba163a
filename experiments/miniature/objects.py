"""The seven things that stand in the miniature's landscapes, each in three shades of its colour."""

from collections.abc import Callable
from dataclasses import dataclass

from experiments.miniature.canvas import Canvas, Colour, Point, mix

#: Light, middle and dark of each colour.
SHADES: dict[str, tuple[Colour, Colour, Colour]] = {
    "red": ((242, 72, 66), (214, 38, 44), (142, 18, 34)),
    "blue": ((78, 134, 255), (40, 84, 228), (22, 44, 150)),
    "green": ((62, 196, 116), (20, 156, 84), (8, 96, 62)),
    "yellow": ((255, 232, 84), (250, 206, 30), (196, 142, 10)),
    "purple": ((186, 108, 236), (146, 62, 204), (88, 30, 138)),
    "orange": ((255, 160, 62), (246, 122, 20), (176, 74, 10)),
    "white": ((255, 255, 255), (240, 240, 246), (172, 178, 198)),
}
#: How wide each kind stands at size 1, in pixels.
WIDTH = {
    "pyramid": 44,
    "house": 34,
    "tree": 34,
    "mountain": 46,
    "tower": 27,
    "tent": 38,
    "boat": 40,
}
#: Stretches a kind sideways.
WIDEN = {"mountain": 0.88, "tower": 1.22}
WOOD: Colour = (104, 70, 46)
DARK: Colour = (44, 36, 48)
LAMP: Colour = (255, 222, 118)
PANE: Colour = (70, 92, 122)


def shades(colour: str) -> tuple[Colour, Colour, Colour]:
    """Light, middle and dark of a colour."""
    return SHADES[colour]


@dataclass
class Brush:
    """Draws in an object's own coordinates: x from its middle, y up from its foot."""

    canvas: Canvas
    x: float
    y: float
    size: float
    shades: list[Colour]
    left: bool  # the light comes from the left
    lamps: bool  # windows are lit
    wide: float = 1.0

    @property
    def pane(self) -> Colour:
        return LAMP if self.lamps else PANE

    def at(self, points: list[Point]) -> list[Point]:
        """Object coordinates as picture coordinates, mirrored if the light comes from the right."""
        side = self.wide if self.left else -self.wide
        return [(self.x + side * px * self.size, self.y - py * self.size) for px, py in points]

    def shape(self, points: list[Point], colour: Colour) -> None:
        self.canvas.shape(self.at(points), colour)

    def patch(self, points: list[Point], colour: Colour) -> None:
        """A shape without an outline, even in a drawing."""
        self.canvas.polygon(self.at(points), colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def line(self, points: list[Point], colour: Colour, width: float) -> None:
        self.canvas.line(self.at(points), colour, width * self.size)

    def disc(self, x: float, y: float, r: float, colour: Colour) -> None:
        ((px, py),) = self.at([(x, y)])
        self.canvas.disc(px, py, r * self.size, colour)


def pyramid(b: Brush) -> None:
    """Two faces, the one away from the light dark, and courses of stone."""
    light, middle, dark = b.shades
    b.shape([(-22, 0), (8, -3), (2, 36)], middle)
    b.patch([(-22, 0), (-8, -1.4), (2, 36)], mix(light, middle, 0.4))
    b.shape([(8, -3), (22, 2), (2, 36)], dark)
    for y in (9, 18, 27):
        k = 1 - y / 36
        b.line([(2 - 24 * k, y), (2 + 6 * k, y - 3 * k)], mix(middle, dark, 0.45), 0.8)
    b.canvas.stroke(b.at([(-22, 0), (8, -3), (2, 36), (-22, 0)]))


def house(b: Brush) -> None:
    """A front with door and windows under a dark gable roof."""
    light, middle, dark = b.shades
    b.box(8, 26, 13, 38, mix(dark, DARK, 0.4))
    b.box(-16, -1, 16, 20, mix(light, middle, 0.4))
    b.patch([(6, -1), (16, -1), (16, 20), (6, 20)], mix(middle, dark, 0.35))
    b.shape([(-20, 19), (20, 19), (11, 34), (-11, 34)], mix(dark, DARK, 0.15))
    b.box(-4, -1, 4, 12, DARK)
    b.box(-13, 7, -7, 14, b.pane)
    b.box(7, 7, 13, 14, b.pane)


def tree(b: Brush) -> None:
    """A round crown on a trunk."""
    light, middle, dark = b.shades
    b.box(-3, -1, 3, 16, WOOD)
    crown = ((0, 34, 13.5), (-9, 25, 10.5), (9, 25, 10.5))
    for x, y, r in crown:
        if b.canvas.ink:
            b.disc(x, y, r + 1.2 / b.size, b.canvas.ink)
    for x, y, r in crown:
        b.disc(x, y, r, dark)
    for x, y, r in crown:
        b.disc(x - 1.6, y + 1.4, r - 2.2, middle)
    b.disc(-4, 37, 6.5, light)
    b.disc(-12, 27, 4.2, light)


def mountain(b: Brush) -> None:
    """A jagged peak with a snow cap."""
    light, middle, dark = b.shades
    left: list[Point] = [(-28, -1), (-17, 16), (-12, 18), (-2, 40)]
    right: list[Point] = [(-2, 40), (4, 34), (9, 24), (14, 20), (28, -1)]
    b.shape([*left, *right[1:]], middle)
    b.patch([*left, (-6, 18), (-14, -1)], mix(light, middle, 0.4))
    b.patch([*right, (8, -1), (2, 14)], dark)
    snow = [(-2, 40), (4, 34), (8, 26), (4, 28), (0, 23), (-4, 28), (-8, 26)]
    b.shape(snow, (250, 252, 255))
    b.patch([(-2, 40), (4, 34), (8, 26), (4, 28), (0, 25)], (196, 208, 230))


def tower(b: Brush) -> None:
    """Tall and slim, with a pointed roof and three windows."""
    light, middle, dark = b.shades
    b.box(-9, -1, 9, 40, middle)
    b.patch([(-9, -1), (-3, -1), (-3, 40), (-9, 40)], light)
    b.patch([(4, -1), (9, -1), (9, 40), (4, 40)], dark)
    b.shape([(-13, 39), (13, 39), (0, 56)], mix(dark, DARK, 0.25))
    for y in (10, 20, 30):
        b.box(-2.2, y, 2.8, y + 6, b.pane)
    b.canvas.stroke(b.at([(-9, -1), (9, -1), (9, 40), (-9, 40), (-9, -1)]))


def tent(b: Brush) -> None:
    """A round tent with an open front, a pale band and crossed poles."""
    light, middle, dark = b.shades
    b.line([(-3, 36), (1, 28)], WOOD, 1.6)
    b.line([(4, 36), (-1, 28)], WOOD, 1.6)
    b.shape([(-19, 0), (0, -3), (19, 0), (1.5, 31), (-1.5, 31)], middle)
    b.patch([(-19, 0), (-9, -1.6), (-0.5, 31), (-1.5, 31)], light)
    b.patch([(9, -1.6), (19, 0), (1.5, 31), (0.5, 31)], dark)
    b.patch([(-9.7, 15), (9.7, 15), (7.4, 19), (-7.4, 19)], mix(light, (255, 250, 235), 0.75))
    b.shape([(-7, -2), (7, -2), (0, 20)], LAMP if b.lamps else DARK)
    b.canvas.stroke(b.at([(-19, 0), (0, -3), (19, 0), (1.5, 31), (-1.5, 31), (-19, 0)]))


def boat(b: Brush) -> None:
    """A hull with two sails."""
    light, middle, dark = b.shades
    b.line([(0, 5), (0, 44)], WOOD, 1.8)
    b.shape([(-2, 11), (-2, 42), (-18, 12)], mix(light, (255, 255, 255), 0.25))
    b.shape([(2, 11), (2, 38), (15, 12)], mix(light, middle, 0.7))
    b.shape([(-21, 8), (21, 8), (14, -3), (-14, -3)], middle)
    b.patch([(-14, -3), (14, -3), (16, 0), (-16, 0)], dark)
    b.line([(-21, 8), (21, 8)], mix(light, (255, 255, 255), 0.5), 1.4)


DRAW: dict[str, Callable[[Brush], None]] = {
    "pyramid": pyramid,
    "house": house,
    "tree": tree,
    "mountain": mountain,
    "tower": tower,
    "tent": tent,
    "boat": boat,
}
