"""What can be said of a scene, in English and in Chinese: sentences, lists of tags, fragments."""

import random
from dataclasses import replace

from experiments.miniature.world import KINDS, Scene

NUMBERS = {1: "a", 2: "two", 3: "three"}
PLURALS = {
    "pyramid": "pyramids",
    "house": "houses",
    "tree": "trees",
    "mountain": "mountains",
    "tower": "towers",
    "tent": "tents",
    "boat": "boats",
}
WHERE = {
    "desert": ("in the desert", "on the sand"),
    "meadow": ("in the meadow", "on the grass"),
    "snow": ("in the snow", "on the snow"),
    "sea": ("by the sea", "on the sea"),
}
WHEN = {
    "day": ("by day", "on a sunny day", "at day"),
    "sunset": ("at sunset", "at dusk"),
    "night": ("at night", "by night"),
    "storm": ("in a storm", "under storm clouds"),
}
WITH = {
    "sun": ("with a sun", "under the sun", "with the sun"),
    "moon": ("with a moon", "under the moon", "with the moon"),
}
AS = {
    "photograph": ("a photograph of", "a photo of"),
    "painting": ("a painting of", "an oil painting of"),
    "drawing": ("a drawing of", "a pencil drawing of"),
}
TAGS = {
    "desert": "desert",
    "meadow": "meadow",
    "snow": "snow",
    "sea": "sea",
    "day": "day",
    "sunset": "sunset",
    "night": "night",
    "storm": "storm",
    "sun": "sun",
    "moon": "moon",
    "photograph": "photograph",
    "painting": "painting",
    "drawing": "drawing",
}

KINDS_ZH = {
    "pyramid": "金字塔",
    "house": "房子",
    "tree": "树",
    "mountain": "山",
    "tower": "高塔",
    "tent": "帐篷",
    "boat": "帆船",
}
MEASURES_ZH = {
    "pyramid": "座",
    "house": "座",
    "tree": "棵",
    "mountain": "座",
    "tower": "座",
    "tent": "顶",
    "boat": "艘",
}
NUMBERS_ZH = {1: "一", 2: "两", 3: "三"}
COLOURS_ZH = {
    "red": "红色",
    "blue": "蓝色",
    "green": "绿色",
    "yellow": "黄色",
    "purple": "紫色",
    "orange": "橙色",
    "white": "白色",
}
TAGS_ZH = {
    "desert": "沙漠",
    "meadow": "草地",
    "snow": "雪地",
    "sea": "大海",
    "day": "白天",
    "sunset": "日落",
    "night": "夜晚",
    "storm": "暴风雨",
    "sun": "太阳",
    "moon": "月亮",
    "photograph": "照片",
    "painting": "油画",
    "drawing": "素描",
}


def things(scene: Scene, *, coloured: bool = True, counted: bool = True) -> str:
    """The objects: `two blue houses`, `a red pyramid`, or less of it."""
    noun = scene.kind if scene.count == 1 else PLURALS[scene.kind]
    words = [NUMBERS[scene.count] if counted else "", scene.colour if coloured else "", noun]
    if scene.count == 1 and counted and coloured and scene.colour == "orange":
        words[0] = "an"
    return " ".join(word for word in words if word)


def things_zh(scene: Scene, *, coloured: bool = True, counted: bool = True) -> str:
    """The objects in Chinese: 两座蓝色的房子."""
    number = NUMBERS_ZH[scene.count] + MEASURES_ZH[scene.kind] if counted else ""
    colour = COLOURS_ZH[scene.colour] + "的" if coloured else ""
    return number + colour + KINDS_ZH[scene.kind]


def full(scene: Scene) -> str:
    """The sentence that names every fact, as the measures use it."""
    style = "" if scene.style == "photograph" else AS[scene.style][0] + " "
    light = "" if scene.light == "none" else " " + WITH[scene.light][0]
    what = things(scene) if scene.count else "an empty landscape"
    return f"{style}{what} {WHERE[scene.ground][0]} {WHEN[scene.sky][0]}{light}"


def facts(scene: Scene, rng: random.Random, keep: float) -> dict[str, bool]:
    """Which facts a caption keeps; painting and drawing are always told."""
    told = {fact: rng.random() < keep for fact in ("colour", "count", "ground", "sky", "light")}
    told["kind"] = scene.count > 0
    told["style"] = scene.style != "photograph" or rng.random() < 0.15
    told["light"] = told["light"] and scene.light != "none"
    return told


def sentence(scene: Scene, told: dict[str, bool], rng: random.Random) -> str:
    """`a painting of two blue houses in the snow at night under the moon`."""
    parts = [rng.choice(AS[scene.style])] if told["style"] else []
    if told["kind"]:
        parts.append(things(scene, coloured=told["colour"], counted=told["count"] or told["style"]))
    elif parts:
        parts.append("an empty landscape")
    comma = rng.random() < 0.25
    rest = [rng.choice(WHERE[scene.ground])] if told["ground"] else []
    rest += [rng.choice(WHEN[scene.sky])] if told["sky"] else []
    if rng.random() < 0.2:
        rest.reverse()
    rest += [rng.choice(WITH[scene.light])] if told["light"] else []
    text = " ".join(parts)
    for i, part in enumerate(rest):
        text += (", " if comma and i else " ") + part
    return text.strip()


def tags(scene: Scene, told: dict[str, bool], rng: random.Random) -> str:
    """`pyramid, sun, desert`: the same facts as a list, in any order."""
    words = [TAGS[getattr(scene, fact)] for fact in ("ground", "sky", "light") if told[fact]]
    if told["kind"]:
        counted = told["count"] and (scene.count > 1 or rng.random() < 0.3)
        words.append(things(scene, coloured=told["colour"], counted=counted))
    rng.shuffle(words)
    if told["style"]:
        words.insert(rng.choice((0, len(words))), TAGS[scene.style])
    return ", ".join(words)


def chinese(scene: Scene, told: dict[str, bool], rng: random.Random) -> str:
    """`红色的金字塔，沙漠，日落`: a list, or a short sentence."""
    words = [TAGS_ZH[scene.style]] if told["style"] else []
    thing = ""
    if told["kind"]:
        thing = things_zh(scene, coloured=told["colour"], counted=told["count"])
    if thing and told["ground"] and rng.random() < 0.5:
        words.append(f"{TAGS_ZH[scene.ground]}里的{thing}")
    else:
        words += [thing] if thing else []
        words += [TAGS_ZH[scene.ground]] if told["ground"] else []
    words += [TAGS_ZH[getattr(scene, fact)] for fact in ("sky", "light") if told[fact]]
    return "，".join(words)


def mistaken(scene: Scene, rng: random.Random) -> Scene:
    """The scene as somebody describes it who names an object that is not there."""
    names = [replace(scene, kind=kind, count=scene.count or 1) for kind in KINDS]
    return rng.choice([named for named in names if named.kind != scene.kind and not named.held_out])


def told_caption(
    scene: Scene, rng: random.Random, wrong: float = 0.0
) -> tuple[str, dict[str, bool]]:
    """One of the many captions of a scene, and the facts it tells; a fifth say little.

    All are true but for the share `wrong` of those that tell more than the object: these name
    another object. What is said of a whole picture is then less sure to be in it than an object
    named alone, as in captions of real photographs, and a negative prompt can take it away.
    """
    # An object named alone must be as common as a doubtful one, or doubt spreads to it.
    keep = rng.choice((1.0, 0.9, 0.7, 0.5, 0.25) + (0.0, 0.0, 0.0) * (wrong > 0))
    told = facts(scene, rng, keep)
    style = rng.choices((sentence, tags, chinese), (0.54, 0.3, 0.16))[0]
    if wrong and (told["ground"] or told["sky"] or told["light"]) and rng.random() < wrong:
        scene, told["kind"] = mistaken(scene, rng), True
    return style(scene, told, rng), told


def caption(scene: Scene, rng: random.Random, wrong: float = 0.0) -> str:
    """One of the many captions of a scene; the share `wrong` of long ones names another object."""
    return told_caption(scene, rng, wrong)[0]


def words() -> list[str]:
    """Every English word of the captions, sorted."""
    phrases = [*NUMBERS.values(), *PLURALS, *PLURALS.values(), *TAGS.values(), "an empty landscape"]
    for table in (WHERE, WHEN, WITH, AS):
        phrases += [phrase for choices in table.values() for phrase in choices]
    phrases += ["red blue green yellow purple orange white black one and without no of"]
    return sorted({word for phrase in phrases for word in phrase.split()})


def words_zh() -> list[str]:
    """Every Chinese word of the captions, the longest first."""
    found = {*KINDS_ZH.values(), *COLOURS_ZH.values(), *TAGS_ZH.values(), "的", "里的", "，"}
    found |= {n + m for n in NUMBERS_ZH.values() for m in MEASURES_ZH.values()}
    found |= set("红蓝绿黄紫橙白塔船房海雪月里上和")
    return sorted(found, key=lambda word: (-len(word), word))
