"""What can be said of a scene, in English and in Chinese: sentences, lists of tags, fragments."""

import random

from experiments.miniature.world import Scene

OPEN = 0.15  # the share of captions that leave the object open

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
    """The facts that a caption names: each with probability `keep`.

    The object is left open in `OPEN` of the captions, so that a prompt without one shows any.
    An empty scene is always called empty. Paintings and drawings are always named.
    """
    named = {fact: rng.random() < keep for fact in ("colour", "count", "ground", "sky", "light")}
    named["kind"] = scene.count > 0 and rng.random() >= OPEN
    named["count"] = not scene.count or (named["count"] and named["kind"])
    named["colour"] = named["colour"] and scene.count > 0
    named["style"] = scene.style != "photograph" or rng.random() < 0.15
    named["light"] = named["light"] and scene.light != "none"
    return named


def sentence(scene: Scene, named: dict[str, bool], rng: random.Random) -> str:
    """`a painting of two blue houses in the snow at night under the moon`."""
    parts = [rng.choice(AS[scene.style])] if named["style"] else []
    comma = rng.random() < 0.25
    rest = [rng.choice(WHERE[scene.ground])] if named["ground"] else []
    rest += [rng.choice(WHEN[scene.sky])] if named["sky"] else []
    if rng.random() < 0.2:
        rest.reverse()
    rest += [rng.choice(WITH[scene.light])] if named["light"] else []
    if named["kind"]:
        counted = named["count"] or named["style"]
        parts.append(things(scene, coloured=named["colour"], counted=counted))
    elif not scene.count:
        parts.append("an empty landscape")
    elif parts or rng.random() < 0.6:
        parts.append("a landscape")
    text = " ".join(parts)
    for i, part in enumerate(rest):
        text += (", " if comma and i else " ") + part
    return text.strip()


def tags(scene: Scene, named: dict[str, bool], rng: random.Random) -> str:
    """`pyramid, sun, desert`: the same facts as a list, in any order."""
    words = [TAGS[getattr(scene, fact)] for fact in ("ground", "sky", "light") if named[fact]]
    if named["kind"]:
        counted = named["count"] and (scene.count > 1 or rng.random() < 0.3)
        words.append(things(scene, coloured=named["colour"], counted=counted))
    elif not scene.count:
        words.append("empty landscape")
    elif named["colour"]:
        words.append(scene.colour)
    rng.shuffle(words)
    if named["style"]:
        words.insert(rng.choice((0, len(words))), TAGS[scene.style])
    return ", ".join(words)


def chinese(scene: Scene, named: dict[str, bool], rng: random.Random) -> str:
    """`红色的金字塔，沙漠，日落`: a list, or a short sentence."""
    words = [TAGS_ZH[scene.style]] if named["style"] else []
    thing = ""
    if named["kind"]:
        thing = things_zh(scene, coloured=named["colour"], counted=named["count"])
    elif named["colour"]:
        thing = COLOURS_ZH[scene.colour]
    if named["kind"] and named["ground"] and rng.random() < 0.5:
        words.append(f"{TAGS_ZH[scene.ground]}里的{thing}")
    else:
        words += [thing] if thing else []
        words += [TAGS_ZH[scene.ground]] if named["ground"] else []
    words += [TAGS_ZH[getattr(scene, fact)] for fact in ("sky", "light") if named[fact]]
    return "，".join(words)


def described(scene: Scene, rng: random.Random) -> tuple[str, dict[str, bool]]:
    """One of the many captions of a scene, and the facts that it names.

    Two sevenths name all facts, one seventh only the object.
    """
    named = facts(scene, rng, rng.choice((1.0, 1.0, 0.9, 0.7, 0.5, 0.25, 0.0)))
    forms, weights = (sentence, tags, chinese), (0.54, 0.3, 0.16)
    # Chinese captions have no word for empty.
    form = rng.choices(forms, weights)[0] if scene.count else rng.choice(forms[:2])
    if form is sentence and not named["kind"]:
        named["colour"] = False
    return form(scene, named, rng), named


def caption(scene: Scene, rng: random.Random) -> str:
    """One of the many captions of a scene."""
    return described(scene, rng)[0]


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
