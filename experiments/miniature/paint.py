"""Draws a scene: sky, light, far hills, ground, objects, then the style laid over all of it."""

import math
import random
from functools import lru_cache

import numpy as np

from experiments.miniature import objects
from experiments.miniature.canvas import Canvas, Colour, mix
from experiments.miniature.world import SIZE, Scene

#: Sky gradients from the zenith to the horizon.
SKY: dict[str, tuple[Colour, Colour, Colour]] = {
    "day": ((62, 132, 222), (122, 184, 242), (206, 232, 250)),
    "sunset": ((82, 54, 128), (216, 104, 104), (255, 190, 104)),
    "night": ((12, 16, 52), (28, 36, 92), (66, 72, 138)),
    "storm": ((58, 66, 78), (98, 108, 120), (150, 156, 160)),
}
#: Ground, far and near.
GROUND: dict[str, tuple[Colour, Colour]] = {
    "desert": ((236, 206, 156), (208, 164, 108)),
    "meadow": ((152, 190, 84), (86, 140, 48)),
    "snow": ((238, 244, 252), (204, 216, 234)),
    "sea": ((96, 170, 188), (18, 84, 116)),
}
#: What the sky's light does to the ground; objects take half of it, to keep their colours.
TINT: dict[str, Colour] = {
    "day": (255, 255, 255),
    "sunset": (255, 214, 196),
    "night": (112, 122, 178),
    "storm": (176, 182, 192),
}
PAPER: Colour = (250, 244, 228)
INK: Colour = (52, 46, 54)
STARS = ((9, 12), (24, 34), (40, 9), (55, 24), (70, 8), (84, 33), (99, 14), (118, 27), (62, 42))


@lru_cache(maxsize=8)
def sky_columns(sky: str, horizon: int) -> np.ndarray:
    """The sky's gradient: float array (SIZE, 1, 3) in 0..255."""
    stops = np.array(SKY[sky], dtype=np.float32)
    t = np.clip(np.arange(SIZE) / horizon, 0, 1)
    rows = np.stack([np.interp(t, (0.0, 0.55, 1.0), stops[:, c]) for c in range(3)], -1)
    return rows[:, None, :].astype(np.float32)


def tinted(colour: Colour, sky: str, share: float = 1.0) -> Colour:
    """A colour in the light of a sky."""
    tint = mix((255, 255, 255), TINT[sky], share)
    return tuple(round(c * t / 255) for c, t in zip(colour, tint, strict=True))  # type: ignore


def draw_sky(canvas: Canvas, scene: Scene, horizon: int) -> None:
    """Fills the canvas with the sky; stars by night, clouds in a storm and by day."""
    rows = np.broadcast_to(sky_columns(scene.sky, horizon), (SIZE, SIZE, 3))
    canvas.fill(rows)
    if scene.sky == "night":
        for i, (x, y) in enumerate(STARS):
            canvas.blob(x, y, 1.6, 1.6, (240, 240, 255), 0.75 if i % 2 else 1.0)
    if scene.sky == "storm":
        for x, y, w in ((18, 8, 44), (70, 2, 52), (116, 12, 40), (46, 22, 40), (98, 30, 34)):
            canvas.blob(x, y, w, w * 0.32, (48, 54, 66), 0.75)
    if scene.sky == "day":
        for x, y, w in ((40, 44, 26), (56, 40, 18), (96, 50, 28)):
            canvas.blob(x, y, w, w * 0.22, (255, 255, 255), 0.7)


def draw_light(canvas: Canvas, scene: Scene, x: float, y: float) -> None:
    """The sun with its glow, or a crescent moon."""
    if scene.light == "sun":
        warm: Colour = (255, 196, 96) if scene.sky == "sunset" else (255, 240, 176)
        canvas.blob(x, y, 44, 44, warm, 0.55 if scene.sky != "storm" else 0.4)
        canvas.disc(x, y, 10.5, (255, 226, 92))
        canvas.blob(x, y, 10, 10, (255, 252, 214), 0.9)
        if canvas.ink:
            canvas.ring(x, y, 10.5)
    if scene.light == "moon":
        canvas.blob(x, y, 30, 30, (226, 230, 255), 0.35)
        canvas.crescent(x, y, 10.5, (250, 250, 240))


def draw_hills(canvas: Canvas, scene: Scene, horizon: int, rng: random.Random) -> None:
    """Two layers of far hills in the haze; over the sea only one, low."""
    haze = SKY[scene.sky][2]
    far, near = (0.35, 0.6) if scene.ground != "sea" else (0.3, 0.3)
    base = tinted((96, 120, 150), scene.sky, 0.8)
    phase = rng.choice((0.0, 1.6, 3.1, 4.7))
    heights = ((13, 7), (8, 4)) if scene.ground != "sea" else ((5, 4),)
    for (lift, swing), share, shift in zip(heights, (far, near), (0.0, 2.2), strict=False):
        ridge = [
            (x, horizon - lift - swing * math.sin(x * 0.055 + phase + shift))
            for x in range(-2, SIZE + 4, 4)
        ]
        ridge = ridge if scene.ground != "sea" else [(x, min(y, horizon)) for x, y in ridge]
        colour = mix(haze, base, share)
        canvas.polygon([(-2, horizon + 2), *ridge, (SIZE + 2, horizon + 2)], colour)
        canvas.stroke(ridge)


def draw_ground(canvas: Canvas, scene: Scene, horizon: int, light_x: float) -> None:
    """The ground from the horizon down: dunes, meadow, drifts, or water with a reflection."""
    far, near = (tinted(c, scene.sky) for c in GROUND[scene.ground])
    canvas.ramp(horizon, SIZE, far, near)
    if scene.ground == "sea":
        glow = mix(far, (255, 240, 190), 0.8 if scene.light != "none" else 0.2)
        canvas.blob(light_x, horizon + 6, 22, 26, glow, 0.6 if scene.light != "none" else 0.3)
        for row, (y, half) in enumerate(((8, 30), (17, 44), (28, 60), (41, 80))):
            x = 64 + (18 if row % 2 else -18)
            canvas.blob(x, horizon + y, half, 1.6 + row * 0.4, mix(far, (255, 255, 255), 0.25), 0.6)
        canvas.stroke([(-2, horizon), (SIZE + 2, horizon)])
        return
    crest = mix(far, (255, 255, 255), 0.35)
    for y, swing, phase in ((14, 4, 0.6), (32, 6, 3.0)):
        ridge = [
            (x, horizon + y + swing * math.sin(x * 0.045 + phase)) for x in range(-2, SIZE + 4, 4)
        ]
        canvas.dune(ridge, mix(far, near, y / 45), crest)
    canvas.stroke([(-2, horizon), (SIZE + 2, horizon)])


def places(scene: Scene, rng: random.Random, horizon: int) -> list[tuple[float, float, float]]:
    """Where the objects stand: (x, y of the foot, size), one slot each, left to right."""
    slots = {0: (), 1: (64,), 2: (38, 90), 3: (22, 64, 106)}[scene.count]
    size = {0: 0.0, 1: 1.3, 2: 1.07, 3: 0.9}[scene.count]
    wander = {0: 0, 1: 12, 2: 4, 3: 2}[scene.count]
    return [
        (
            x + rng.uniform(-wander, wander),
            horizon + 22 + rng.uniform(-3, 5),
            size * rng.uniform(0.93, 1.07),
        )
        for x in slots
    ]


def draw_objects(
    canvas: Canvas, scene: Scene, horizon: int, left: bool, rng: random.Random
) -> None:
    """Each object with its soft shadow, and, on the sea, an islet and a reflection."""
    lit = [tinted(c, scene.sky, 0.3) for c in objects.shades(scene.colour)]
    lamps = scene.sky != "day"
    for x, y, size in places(scene, rng, horizon):
        width = objects.WIDTH[scene.kind] * size
        if scene.ground == "sea":
            canvas.blob(x, y + 7 * size, width * 0.55, 9 * size, lit[1], 0.55)
            if scene.kind != "boat":
                sand = tinted((224, 198, 150), scene.sky, 0.8)
                canvas.disc(x, y + 0.5, width * 0.66, sand, flat=5.0 / (width * 0.66))
        else:
            away = 1 if left else -1
            canvas.blob(x + away * width * 0.38, y + 0.5, width * 0.75, 6 * size, (24, 26, 44), 0.5)
        wide = objects.WIDEN.get(scene.kind, 1.0)
        brush = objects.Brush(canvas, x, y, size, lit, left=left, lamps=lamps, wide=wide)
        objects.DRAW[scene.kind](brush)


@lru_cache(maxsize=1)
def strokes() -> np.ndarray:
    """The painting's broad brush bands: float array (SIZE, SIZE, 1) around 0, within +-1."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    bend = y + 5 * np.sin(x * 0.07) + 3 * np.sin(x * 0.031 + 1.3)
    return np.sin(bend * 0.45)[..., None]


def paint_over(pixels: np.ndarray) -> np.ndarray:
    """A painting: richer colour, brush bands, a warm varnish; float (SIZE, SIZE, 3) in 0..255."""
    grey = pixels.mean(-1, keepdims=True)
    rich = grey + (pixels - grey) * 1.35
    return rich * (1 + 0.055 * strokes()) * np.array([1.04, 1.0, 0.9], np.float32)


@lru_cache(maxsize=1)
def vignette() -> np.ndarray:
    """How much of the drawing the paper's edge lets through: (SIZE, SIZE, 1) in 0..1."""
    side = np.minimum(np.arange(SIZE), np.arange(SIZE)[::-1]).astype(np.float32)
    fade = np.clip(side / 10, 0, 1)
    return (fade[:, None] * fade[None, :])[..., None]


def draw_over(pixels: np.ndarray) -> np.ndarray:
    """A drawing: pale colours on cream paper that shows at the edges."""
    paper = np.array(PAPER, np.float32)
    pale = paper * (0.34 + 0.66 * pixels / 255)
    return paper + (pale - paper) * vignette()


def draw(scene: Scene) -> np.ndarray:
    """The scene's picture: uint8 array (SIZE, SIZE, 3)."""
    rng = random.Random(scene.seed)
    horizon = 74 + rng.randint(-4, 4)
    left = rng.random() < 0.5
    light_x = (25 if left else 103) + rng.uniform(-7, 7)
    light_y = 22 + rng.uniform(-5, 5) + (4 if scene.sky == "sunset" else 0)
    canvas = Canvas(ink=INK if scene.style == "drawing" else None)
    draw_sky(canvas, scene, horizon)
    draw_light(canvas, scene, light_x, light_y)
    draw_hills(canvas, scene, horizon, rng)
    draw_ground(canvas, scene, horizon, light_x)
    draw_objects(canvas, scene, horizon, left, rng)
    pixels = canvas.pixels()
    if scene.style == "painting":
        pixels = paint_over(pixels)
    if scene.style == "drawing":
        pixels = draw_over(pixels)
    return np.clip(pixels + 0.5, 0, 255).astype(np.uint8)
