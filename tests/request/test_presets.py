"""What the presets ask of real models is what people did by hand, to the letter and the number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdviz.plan.config import conf_dir
from sdviz.plan.settings import Recipe
from sdviz.request.compose import prepare

PYRAMID = (
    "an ultra detailed beautiful painting landscape ancient, pyramid, egyptian gods, sun, "
    "centered, intricate, by conrad roset, greg rutkowski and makoto shinkai, "
    "trending on artstation, Realistic, Cinematic"
)
WITHOUT = PYRAMID.replace("pyramid, egyptian gods, ", "")
CAT = (
    "a cute cat, cyberpunk art, by Adam Marczyński, cyber steampunk 8 k 3 d, kerem beyit, "
    "very cute robot zen, beeple"
)
NO_CAT = (
    "(deformed, distorted, disfigured:1.3), poorly drawn, bad anatomy, wrong anatomy, extra limb, "
    "missing limb, floating limbs, (mutated hands and fingers:1.4), disconnected limbs, mutation, "
    "mutated, ugly, disgusting, blurry, amputation, flowers, human, man, woman"
)
ASTRONAUT = "a photograph of an astronaut riding a tiger"
REAL = ", the generated photograph should look real"
GIRL = "二次元，一个紫色短发小女孩，在家中沙发上坐着，双手托着腮，很无聊，全身，粉色连衣裙"
UGLY = "丑陋、变形、嘈杂、模糊、低对比度"
STORY = [
    "卡通，一个可爱的灰色小猫咪，在一个圆形睡垫睡着，头埋在胸前，很悠闲，全身，处在一个房间内，毛发柔顺",
    "卡通，一个毛发柔顺的灰色小猫咪躺在圆形睡垫上，抬头望向门口，露出惊喜的神情",
    "卡通，一个穿着休闲白衬衫和牛仔裤的青年打开门，低头看向屋内，一只毛发柔顺的灰色小猫咪，睡在睡垫",
    "卡通，一个毛发柔顺的灰色小猫咪，从屋内跑向门口,开心",
    "卡通，一个穿着休闲白衬衫和牛仔裤的青年蹲在地上，给一个毛发柔顺的灰色小猫咪喂食，小猫咪贴近青年的手吃食物",
    "卡通，一个穿着休闲白衬衫和牛仔裤的青年坐在沙发上，青年用手抚摸怀中的一个毛发柔顺的灰色小猫咪，面前有一台电视",
    "卡通，一个穿着休闲白衬衫和牛仔裤的青年给一个灰色小猫咪洗澡，青年帅气，白净，猫咪可爱，毛发柔顺",
    "卡通，一个穿着休闲白衬衫和牛仔裤的青年抱着一个灰色小猫咪睡在床上，年帅气，白净，猫咪可爱，毛发柔顺",
]

# Preset -> setting -> its values, each once, in the order of the cells.
ASKED: dict[str, dict[str, list[Any]]] = {
    "astronaut": {
        "prompt": [ASTRONAUT, ASTRONAUT + REAL],
        "sampler": ["PLMS"],
        "steps": [50],
        "cfg": [7.5],
        "seed": [42, 43, 44, 45, 46, 47],
    },
    "restyle": {
        "prompt": [
            "A photo looks realistic.",
            "A photo looks realistic. The input image is an astronaut riding a tiger",
        ],
        "strength": [0.8],
        "sampler": ["DDIM"],
        "steps": [50],
        "cfg": [5.0],
    },
    "cfg": {"prompt": [PYRAMID], "cfg": [7.0, 15.0, 20.0, 25.5]},
    "sampler": {
        "prompt": [PYRAMID],
        "sampler": ["Euler a", "LMS", "Heun", "DPM2", "DDIM", "PLMS", "DPM++ 2M"],
        "seed": [42],
    },
    "steps": {"prompt": [PYRAMID], "steps": [20, 30, 40, 60, 100]},
    "seed": {"prompt": [PYRAMID], "seed": [11, 12, 3, 10]},  # 11 and 12 are drawn for -1
    "checkpoint": {
        "prompt": [CAT],
        "negative": [NO_CAT],
        "cfg": [6.5],
        "sampler": ["Euler a"],
        "steps": [26],
        "seed": [1791574510],
    },
    "variation": {"prompt": [PYRAMID], "variation_seed": [1, 2, 3]},
    "kolors-lora": {
        "prompt": [GIRL],
        "negative": [UGLY],
        "cfg": [4.0],
        "steps": [50],
        "seed": [0],
        "lora_scale": [0.0, 0.5, 1.0, 1.5, 2.0],
    },
    "story": {"prompt": STORY, "negative": [UGLY], "seed": [0]},
    "footballer": {"prompt": ["A South American footballer"]},
    "caption-loop": {"prompt": [ASTRONAUT]},
}


def recipes(preset: str, model: Path, outputs: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    drawn = iter((11, 12))
    monkeypatch.setattr("secrets.randbelow", lambda most: next(drawn))
    words = [f"experiment={preset}", f"model={model}", f"outputs={outputs}", "visdom=off"]
    return [cell.recipe for cell in prepare([*words, "device=cpu"]).plan.cells]


@pytest.mark.parametrize("preset", ASKED)
def test_a_preset_asks_for_what_was_done_by_hand(
    preset: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recipes(preset, tiny_model, tmp_path, monkeypatch)
    for setting, values in ASKED[preset].items():
        told = list(dict.fromkeys(getattr(recipe, setting) for recipe in found))
        assert told == values, setting


def test_the_negative_prompts_go_with_their_prompts(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Recipe] = recipes("negative", tiny_model, tmp_path, monkeypatch)
    pairs = list(dict.fromkeys((one.prompt, one.negative) for one in found))
    assert pairs == [(PYRAMID, PYRAMID), (WITHOUT, PYRAMID), (PYRAMID, "")]
    assert "pyramid" not in WITHOUT and "sun, centered" in WITHOUT


def test_no_preset_is_left_out() -> None:
    there = {path.stem for path in (conf_dir() / "experiment").glob("*.yaml")}
    assert there == {*ASKED, "negative"}
