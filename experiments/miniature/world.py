"""The miniature's world: what a scene can hold, and how scenes are drawn at random."""

import random
from dataclasses import dataclass

SIZE = 128  # pixels, both sides

KINDS = ("pyramid", "house", "tree", "mountain", "tower", "tent", "boat")
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "white")
COUNTS = (1, 2, 3)
GROUNDS = ("desert", "meadow", "snow", "sea")
SKIES = ("day", "sunset", "night", "storm")
LIGHTS = ("sun", "moon", "none")
STYLES = ("photograph", "painting", "drawing")

#: Kind and colour pairs that no training picture shows; what they score is reported apart.
HELD_OUT = frozenset({("tent", "red"), ("boat", "purple"), ("tree", "blue")})

#: A sun at night is the one thing that this sky does not do.
LIGHTS_OF = {
    "day": (("sun", 0.6), ("moon", 0.15), ("none", 0.25)),
    "sunset": (("sun", 0.5), ("moon", 0.25), ("none", 0.25)),
    "night": (("sun", 0.0), ("moon", 0.7), ("none", 0.3)),
    "storm": (("sun", 0.3), ("moon", 0.3), ("none", 0.4)),
}

#: What is more usual where: a training scene of another kind is drawn anew at the rate `UNUSUAL`.
USUAL = {
    "desert": ("pyramid", "tent"),
    "meadow": ("house", "tree"),
    "snow": ("mountain", "tower"),
    "sea": ("boat", "tower"),
}
UNUSUAL = 0.35


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything that a picture shows; `seed` places what the words leave open."""

    kind: str
    colour: str
    count: int  # 0 is an empty landscape
    ground: str
    sky: str
    light: str
    style: str
    seed: int

    @property
    def held_out(self) -> bool:
        return self.count > 0 and (self.kind, self.colour) in HELD_OUT


def weighted(rng: random.Random, choices: tuple[tuple[str, float], ...]) -> str:
    """One of the choices, as often as its weight says."""
    names, weights = zip(*choices, strict=True)
    return rng.choices(names, weights)[0]


def random_scene(rng: random.Random) -> Scene:
    """A scene of any combination, held out ones included; one in sixteen is empty."""
    sky = rng.choice(SKIES)
    return Scene(
        kind=rng.choice(KINDS),
        colour=rng.choice(COLOURS),
        count=0 if rng.random() < 1 / 16 else rng.choice(COUNTS),
        ground=rng.choice(GROUNDS),
        sky=sky,
        light=weighted(rng, LIGHTS_OF[sky]),
        style=weighted(rng, (("photograph", 0.6), ("painting", 0.2), ("drawing", 0.2))),
        seed=rng.getrandbits(32),
    )


def training_scene(rng: random.Random) -> Scene:
    """A scene that is not held out, with the kinds that are usual on its ground more often."""
    while True:
        scene = random_scene(rng)
        unusual = scene.count > 0 and scene.kind not in USUAL[scene.ground]
        if not scene.held_out and not (unusual and rng.random() < UNUSUAL):
            return scene


def measured_scene(rng: random.Random, held_out: bool | None = None) -> Scene:
    """A scene with every fact in it, for prompts that name them all: objects, sun or moon."""
    while True:
        scene = random_scene(rng)
        complete = scene.count > 0 and scene.light != "none"
        if complete and held_out in (None, scene.held_out):
            return scene
