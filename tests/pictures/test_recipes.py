"""The recipe in a picture of each program: its exact settings, and a word for all that is not done
again.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdviz.errors import ArchiveError
from sdviz.pictures.recipes import read_picture
from sdviz.pictures.recipes.novelai import emphasis
from sdviz.pictures.texts import exif_texts, read_texts, user_comment
from tests.fuzzing import fuzzed

CASES = Path(__file__).parent / "cases"
CAT = {
    "prompt": "一只小猫, テスト, café", "negative": "模糊", "sampler": "Euler a", "steps": 20,
    "cfg": 7.0, "seed": 5, "width": 512, "height": 512, "model": "测试",
}  # fmt: skip
SETTINGS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512"
PLAIN = {
    "prompt": "a cat", "negative": "x", "sampler": "Euler a", "steps": 20, "cfg": 7.0, "seed": 5,
    "width": 512, "height": 512,
}  # fmt: skip
EXPECTED: dict[str, tuple[Mapping[str, Any], list[str]]] = {
    "text_utf8.png": (CAT, []),
    "after_idat.png": (CAT, []),
    "jpg_be.jpg": (CAT, []),
    "pic.webp": (CAT, []),
    "template.png": (
        {
            "prompt": "conquerer, Merchant,\ndigital cinematic color grading",
            "negative": "cropped-frame, low quality", "sampler": "DPM++ 2M SDE Karras",
            "steps": 20, "cfg": 4.5, "seed": 3568500540, "width": 832, "height": 1216,
            "model": "sd_xl_refiner_1.0_0.9vae",
        },
        ["ignored: Refiner: sd_xl_refiner_1.0_0.9vae [8d0ce6c016], Refiner switch at: 0.7"],
    ),
    "swarm.png": (
        {
            "prompt": "a cat", "negative": "dog", "model": "m", "seed": 5, "steps": 20, "cfg": 7.0,
            "width": 512, "height": 512, "sampler": "Euler",
        },
        [],
    ),
    "forgeflux.png": (
        {
            "prompt": "a photo of a woman holding a sign", "negative": "", "sampler": "Euler",
            "steps": 20, "cfg": 3.5, "seed": 895996563, "width": 896, "height": 1152,
            "model": "flux1-dev-fp8",
        },
        [
            "ignored: Schedule type: Simple, Diffusion in Low Bits: bnb-nf4 (fp16 LoRA), Module (3 "
            "settings)"
        ],
    ),
    "civitai.png": (
        {
            "prompt": "score_9, car, tree, hill", "negative": "score_6, simple background",
            "sampler": "DPM++ 2M Karras", "steps": 30, "cfg": 13.5, "seed": 839351144,
            "width": 832, "height": 1216, "clip_skip": 2,
        },
        [
            "ignored: Civitai resources: checkpoint 290640; lora Some, style (0.4); embed 380277"
        ],
    ),
    "fooocus.png": (
        {
            "prompt": "a cat", "negative": "", "sampler": "DPM++ 2M SDE Karras", "steps": 30,
            "cfg": 4.0, "seed": 6271850543921365207, "width": 1152, "height": 896,
            "model": "juggernautXL_v8Rundiffusion", "clip_skip": 2,
            "lora": "sd_xl_offset_example-lora_1.0+mine", "lora_scale": "0.1+0.8",
        },
        [
            "ignored: styles: ['Fooocus V2'], sharpness: 2.0, adm_guidance: (1.5, "
            "0.8, 0.3)"
        ],
    ),
    "hires2.png": (
        {**PLAIN, "hires_scale": 2.0, "hires_strength": 0.35, "hires_upscaler": "latent"},
        [
            "Hires resize: 1024x1536 is of another shape than 512x512, and was cropped: "
            "hires_scale=2 is used instead"
        ],
    ),
    "tag1.png": (
        {**PLAIN, "lora": "foo+bar", "lora_scale": "0.8+0.7"},
        ["ignored: foo at 0.5 in the text encoder, hypernet: h:0.5"],
    ),
    "comfy.png": (
        {
            "prompt": "a cat", "negative": "dog", "sampler": "DPM++ 2M", "steps": 20, "cfg": 8.0,
            "seed": 5,
        },
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_a_picture_gives_its_exact_recipe(name: str) -> None:
    recipe = read_picture(CASES / name)
    settings, warnings = EXPECTED[name]
    assert recipe.settings == settings
    assert recipe.warnings == warnings


def with_text(folder: Path, **texts: str | dict[str, Any]) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        text = text if isinstance(text, str) else json.dumps(text)
        info.add_text(key.replace("sd_metadata", "sd-metadata"), text)
    path = folder / f"{len(list(folder.iterdir()))}.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def webui(folder: Path, pairs: str, *, prompt: str = "a cat") -> Any:
    text = f"{prompt}\nNegative prompt: x\n{SETTINGS}{pairs}"
    return read_picture(with_text(folder, parameters=text))


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        (", ADetailer model: face.pt, ADetailer confidence: 0.3, ADetailer version: 24",
         "ADetailer (3 settings)"),
        (", RNG: NV", "RNG: NV"),
        (", ENSD: 31337", "ENSD: 31337"),
        (", Schedule type: Simple", "Schedule type: Simple"),
        (", Schedule type: KL Optimal", "Schedule type: KL Optimal"),
        (", AddNet Enabled: True, AddNet Model 1: foo(12ab)", "AddNet Model 1: foo(12ab)"),
        (', ControlNet 0: "Module: canny, Weight: 1"', "ControlNet 0: Module: canny, Weight: 1"),
        (", Face restoration: CodeFormer", "Face restoration: CodeFormer"),
        (", Token merging ratio: 0.5", "Token merging ratio: 0.5"),
        (", Hires sampler: Heun", "Hires sampler: Heun"),
        (", Some future extension: on", "Some future extension: on"),
    ],
)  # fmt: skip
def test_what_is_not_done_again_is_named_in_one_line(
    tmp_path: Path, pairs: str, named: str
) -> None:
    recipe = webui(tmp_path, pairs)
    (warning,) = recipe.warnings
    assert warning.startswith("ignored: ") and named in warning
    assert recipe.settings == PLAIN


def test_what_changes_no_pixel_is_not_named(tmp_path: Path) -> None:
    pairs = (
        ", Model hash: 12ab, RNG: CPU, Version: v1.10.1, Refiner: None, Hires sampler: Use same"
        ' sampler, Created Date: 2024-01-01T10:00:00Z, Hashes: {"model": "12ab"}, ENSD: 0'
    )
    assert webui(tmp_path, pairs).warnings == []


def test_the_second_pass_by_its_size(tmp_path: Path) -> None:
    wide = ", Denoising strength: 0.4, Hires resize: 1280x0, Hires upscaler: Lanczos"
    recipe = webui(tmp_path, wide)
    assert recipe.settings == {
        **PLAIN, "hires_scale": 2.5, "hires_strength": 0.4, "hires_upscaler": "pixel",
    }  # fmt: skip
    assert recipe.warnings == []
    text = "a cat\nSteps: 20, Sampler: Euler a, Seed: 5, Size: 512x768, Hires resize: 1024x1536"
    assert read_picture(with_text(tmp_path, parameters=text)).settings["hires_scale"] == 2.0


def test_tags_of_networks_leave_the_prompt(tmp_path: Path) -> None:
    recipe = webui(tmp_path, "", prompt="<lora:a b:0.5:0.25>, a cat <lyco:ink>, sits")
    assert recipe.settings["prompt"] == "a cat, sits"
    assert (recipe.settings["lora"], recipe.settings["lora_scale"]) == ("a b+ink", "0.25+1")
    assert recipe.warnings == ["ignored: a b at 0.5 in the text encoder"]


def test_a_distilled_scale_and_a_true_one(tmp_path: Path) -> None:
    text = "a\nNegative prompt: b\nSteps: 4, Sampler: Euler, CFG scale: 2, Seed: 1"
    both = read_picture(with_text(tmp_path, parameters=f"{text}, Distilled CFG Scale: 5"))
    assert (both.settings["cfg"], both.settings["negative"]) == (5.0, "b")
    assert both.warnings == ["ignored: CFG scale: 2"]


def test_swarmui_in_full(tmp_path: Path) -> None:
    params = {
        "prompt": "x", "model": "Flux/flux1-dev.safetensors", "seed": 7, "steps": 25,
        "cfgscale": 1.0, "fluxguidancescale": 3.5, "width": 1024, "height": 768,
        "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "loras": ["a/ink"],
        "loraweights": ["0.5"], "clipstopatlayer": -2, "refinermethod": "PostApply",
        "negativeprompt": "", "swarm_version": "0.9.2",
    }  # fmt: skip
    recipe = read_picture(with_text(tmp_path, parameters={"sui_image_params": params}))
    assert recipe.settings == {
        "prompt": "x", "negative": "", "model": "flux1-dev", "seed": 7, "steps": 25, "cfg": 3.5,
        "width": 1024, "height": 768, "sampler": "DPM++ 2M SDE Karras", "lora": "ink",
        "lora_scale": 0.5, "clip_skip": 2,
    }  # fmt: skip
    assert recipe.warnings == ["ignored: refinermethod: PostApply"]


def test_invokeai(tmp_path: Path) -> None:
    values = {
        "app_version": "5.0.0", "generation_mode": "sdxl_txt2img", "positive_prompt": "a castle",
        "negative_prompt": "fog", "width": 768, "height": 432, "seed": 356120443,
        "rand_device": "cuda", "cfg_scale": 7.5, "steps": 50, "scheduler": "dpmpp_2m_sde_k",
        "clip_skip": 1, "model": {"key": "1", "name": "Juggernaut", "base": "sdxl"},
        "loras": [{"model": {"name": "ink"}, "weight": 0.75}], "cfg_rescale_multiplier": 0.7,
        "seamless_x": True, "seamless_y": True, "controlnets": [], "refiner_steps": 20,
    }  # fmt: skip
    recipe = read_picture(with_text(tmp_path, invokeai_metadata=values))
    assert recipe.settings == {
        "prompt": "a castle", "negative": "fog", "width": 768, "height": 432, "seed": 356120443,
        "cfg": 7.5, "steps": 50, "sampler": "DPM++ 2M SDE Karras", "clip_skip": 2,
        "model": "Juggernaut", "lora": "ink", "lora_scale": 0.75, "guidance_rescale": 0.7,
        "tiling": True,
    }  # fmt: skip
    assert recipe.warnings == ["ignored: rand_device: cuda, refiner_steps: 20"]
    old = {
        "model_weights": "stable-diffusion-1.5",
        "image": {
            "prompt": [{"prompt": "a castle [fog] by a lake", "weight": 1}], "steps": 30,
            "cfg_scale": 7.5, "sampler": "k_euler_a", "seed": 3, "width": 512, "height": 640,
            "threshold": 0, "perlin": 0.2,
        },
    }  # fmt: skip
    recipe = read_picture(with_text(tmp_path, sd_metadata=old))
    assert recipe.settings == {
        "prompt": "a castle by a lake", "negative": "fog", "steps": 30, "cfg": 7.5,
        "sampler": "Euler a", "seed": 3, "width": 512, "height": 640,
        "model": "stable-diffusion-1.5",
    }  # fmt: skip
    assert recipe.warnings == ["ignored: perlin: 0.2"]


def test_novelai(tmp_path: Path) -> None:
    comment = {
        "prompt": "{{castle}}, [fog] (x)", "steps": 28, "height": 1216, "width": 832, "scale": 5.0,
        "uncond_scale": 1.0, "cfg_rescale": 0.2, "seed": 4128, "n_samples": 1, "uc": "lowres",
        "noise_schedule": "karras", "sampler": "k_euler_ancestral", "sm": True, "sm_dyn": False,
    }  # fmt: skip
    path = with_text(
        tmp_path, Title="AI generated image", Description="castle", Software="NovelAI",
        Source="Stable Diffusion XL 7BCCAA2C", Comment=json.dumps(comment),
    )  # fmt: skip
    recipe = read_picture(path)
    assert recipe.settings == {
        "prompt": "((castle:1.05):1.05), (fog:0.952) \\(x\\)", "negative": "lowres", "steps": 28,
        "cfg": 5.0, "guidance_rescale": 0.2, "seed": 4128, "width": 832, "height": 1216,
        "sampler": "Euler a", "model": "Stable Diffusion XL 7BCCAA2C",
    }  # fmt: skip
    assert recipe.warnings == [
        "ignored: noise_schedule: karras, sm: true",
    ], "diffusers has no Karras schedule for Euler a"
    comment["v4_prompt"] = {
        "caption": {"base_caption": "1.3::castle::", "char_captions": [{"char_caption": "a girl"}]}
    }
    recipe = read_picture(with_text(tmp_path, Comment=json.dumps(comment)))
    assert recipe.settings["prompt"] == "(castle:1.3)"
    assert "char_captions: a girl" in recipe.warnings[0]
    assert emphasis("a } [b {c] d}") == "a } \\[b (c\\] d:1.05)"


def comfy(**nodes: tuple[str, dict[str, Any]]) -> str:
    graph = {k.strip("_"): {"class_type": c, "inputs": i} for k, (c, i) in nodes.items()}
    return json.dumps(graph)


def test_comfyui_follows_the_graph(tmp_path: Path) -> None:
    graph = comfy(
        _1=("CheckpointLoaderSimple", {"ckpt_name": "sub/dream.safetensors"}),
        _2=("LoraLoader", {"lora_name": "ink.safetensors", "strength_model": 0.8,
                           "strength_clip": 0.8, "model": ["1", 0], "clip": ["1", 1]}),
        _3=("CLIPSetLastLayer", {"stop_at_clip_layer": -2, "clip": ["2", 1]}),
        _4=("CLIPTextEncode", {"text": ["9", 0], "clip": ["3", 0]}),
        _5=("CLIPTextEncode", {"text": "blurry", "clip": ["3", 0]}),
        _6=("EmptyLatentImage", {"width": 640, "height": 448, "batch_size": 1}),
        _7=("KSampler", {"seed": ["10", 0], "steps": 12, "cfg": 6.5, "denoise": 1.0,
                         "sampler_name": "dpmpp_2m_sde_gpu", "scheduler": "karras",
                         "model": ["2", 0], "positive": ["4", 0], "negative": ["5", 0],
                         "latent_image": ["6", 0]}),
        _8=("LatentUpscaleBy", {"samples": ["7", 0], "scale_by": 1.5}),
        _9=("StringNode", {"value": "a castle"}),
        _10=("SeedNode", {"seed": 77}),
        _11=("KSampler", {"seed": 1, "steps": 5, "cfg": 2, "denoise": 0.5, "model": ["2", 0],
                          "sampler_name": "euler", "scheduler": "normal", "positive": ["5", 0],
                          "negative": ["5", 0], "latent_image": ["8", 0]}),
        _12=("VAEDecode", {"samples": ["11", 0], "vae": ["1", 2]}),
        _13=("SaveImage", {"images": ["12", 0]}),
        _14=("KSampler", {"seed": 9, "positive": ["5", 0]}),  # leads nowhere
    )  # fmt: skip
    recipe = read_picture(with_text(tmp_path, prompt=graph, workflow="{}"))
    assert recipe.settings == {
        "prompt": "a castle", "negative": "blurry", "sampler": "DPM++ 2M SDE Karras", "steps": 12,
        "cfg": 6.5, "seed": 77, "width": 640, "height": 448, "model": "dream", "lora": "ink",
        "lora_scale": 0.8, "clip_skip": 2,
    }  # fmt: skip
    assert recipe.warnings == ["ignored: KSampler 11: a later pass"]


def test_comfyui_with_a_custom_sampler_and_flux(tmp_path: Path) -> None:
    graph = comfy(
        _1=("UNETLoader", {"unet_name": "flux1-dev.safetensors"}),
        _2=("CLIPTextEncode", {"text": "a castle"}),
        _3=("FluxGuidance", {"guidance": 3.5, "conditioning": ["2", 0]}),
        _4=("BasicGuider", {"model": ["1", 0], "conditioning": ["3", 0]}),
        _5=("RandomNoise", {"noise_seed": 2**63}),
        _6=("KSamplerSelect", {"sampler_name": "euler"}),
        _7=("BasicScheduler", {"scheduler": "simple", "steps": 20, "denoise": 1}),
        _8=("EmptySD3LatentImage", {"width": 1024, "height": 1024}),
        _9=("SamplerCustomAdvanced", {"noise": ["5", 0], "guider": ["4", 0], "sampler": ["6", 0],
                                      "sigmas": ["7", 0], "latent_image": ["8", 0]}),
        _10=("SaveImage", {"images": ["9", 0]}),
    )  # fmt: skip
    recipe = read_picture(with_text(tmp_path, prompt=graph))
    assert recipe.settings == {
        "prompt": "a castle", "negative": "", "sampler": "Euler", "steps": 20, "cfg": 3.5,
        "seed": 2**63, "width": 1024, "height": 1024, "model": "flux1-dev",
    }  # fmt: skip
    assert recipe.warnings == ["ignored: scheduler: simple"]


def test_what_leads_to_comfyuis_sampler_and_cannot_be_done_is_named(tmp_path: Path) -> None:
    graph = comfy(
        _1=("CLIPTextEncode", {"text": "a"}),
        _2=("ControlNetApply", {"conditioning": ["1", 0], "strength": 1}),
        _3=("KSampler", {"seed": 1, "steps": 5, "cfg": 2, "sampler_name": "euler",
                         "scheduler": "normal", "positive": ["2", 0], "negative": ["1", 0],
                         "latent_image": ["4", 0], "denoise": 0.6}),
        _4=("VAEEncode", {"pixels": ["5", 0]}),
        _5=("LoadImage", {"image": "x.png"}),
    )  # fmt: skip
    recipe = read_picture(with_text(tmp_path, prompt=graph))
    assert recipe.settings["strength"] == 0.6
    assert recipe.warnings == [
        "made from an image that it does not contain: name it with init=",
        "ignored: ControlNetApply",
    ]


def test_a_graph_in_circles_ends(tmp_path: Path) -> None:
    graph = comfy(
        _1=("KSampler", {"seed": ["1", 0], "steps": ["2", 0], "positive": ["2", 0], "cfg": 1,
                         "latent_image": ["1", 0], "model": ["2", 0], "sampler_name": "euler"}),
        _2=("Reroute", {"steps": ["1", 0], "text": ["2", 0]}),
    )  # fmt: skip
    assert read_picture(with_text(tmp_path, prompt=graph)).settings["sampler"] == "Euler"


@pytest.mark.parametrize(
    "texts",
    [
        {"parameters": '{"title": "x", "steps": 3}'},
        {"parameters": '{"prompt": "no program of this name"}'},
        {"prompt": '{"1": {"class_type": "SaveImage", "inputs": {}}}'},
        {"Comment": '{"uc": 1}'},
        {"parameters": '{"a":' * 50_000},
    ],
)
def test_no_empty_prompt_runs_for_a_text_that_is_no_recipe(
    tmp_path: Path, texts: dict[str, str]
) -> None:
    with pytest.raises(ArchiveError, match="from="):
        read_picture(with_text(tmp_path, **texts))


TEXT = f"一只小猫, テスト, café\nNegative prompt: 模糊\n{SETTINGS}, Model: 测试"


@pytest.mark.parametrize("ending", ["jpg", "webp", "png"])
@pytest.mark.parametrize("code", ["utf-16-be", "utf-16-le", "utf-16", "ascii", "none"])
def test_exif_in_every_file_and_code(tmp_path: Path, ending: str, code: str) -> None:
    body = TEXT.encode("utf-8" if code in ("ascii", "none") else code)
    prefix = {"ascii": b"ASCII\0\0\0", "none": b"\0" * 8}.get(code, b"UNICODE\0")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = prefix + body
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (16, 16)).save(path, exif=exif.tobytes())
    assert read_texts(path)["UserComment"] == TEXT
    assert read_picture(path).settings == CAT


def test_comments_that_are_no_recipes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (16, 16)).save(path, comment=b"Created with a camera: 1, lens: 2, film: 3")
    with pytest.raises(ArchiveError, match="no recipe"):
        read_picture(path)
    Image.new("RGB", (16, 16)).save(path, comment=TEXT.encode())
    assert read_picture(path).settings == CAT
    exif = Image.Exif()
    exif[0x010E] = TEXT.encode()  # ImageDescription
    Image.new("RGB", (16, 16)).save(tmp_path / "b.jpg", exif=exif)
    assert read_picture(tmp_path / "b.jpg").settings == CAT
    assert user_comment(b"UNICODE\0" + "小".encode("utf-16-le"), is_big=False) == "小"
    assert exif_texts(b"Exif\0\0MM\0*\xff\xff\xff\xff") == {}


def test_comfyuis_webp_has_its_graph_in_a_tag_of_the_camera(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + comfy(
        _1=("KSampler", {"seed": 3, "steps": 4, "cfg": 5, "sampler_name": "heun",
                         "scheduler": "karras", "positive": ["2", 0]}),
        _2=("CLIPTextEncode", {"text": "a castle"}),
    )  # fmt: skip
    Image.new("RGB", (16, 16)).save(tmp_path / "a.webp", exif=exif)
    recipe = read_picture(tmp_path / "a.webp")
    assert recipe.settings == {
        "prompt": "a castle", "negative": "", "sampler": "Heun Karras", "steps": 4, "cfg": 5.0,
        "seed": 3,
    }  # fmt: skip


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_flood_of_text_is_refused(tmp_path: Path) -> None:
    bomb = zlib.compress(b"a" * (1 << 28), 9)
    png = (CASES / "text_utf8.png").read_bytes()
    path = tmp_path / "bomb.png"
    path.write_bytes(png[:33] + chunk(b"zTXt", b"parameters\0\0" + bomb) + png[33:])
    with pytest.raises(ArchiveError, match="more than 16 MB of text"):
        read_picture(path)
    path.write_bytes(png[:33] + b"\x7f\xff\xff\xfftEXt" + png[33:])
    with pytest.raises(ArchiveError):
        read_picture(path)
    path.write_bytes(png[:-40])
    assert read_picture(path).settings == CAT, "cut behind its text"
    long = with_text(tmp_path, parameters="a" * 300_000)
    with pytest.raises(ArchiveError, match="characters"):
        read_picture(long)


def test_numbers_without_end_are_left_out(tmp_path: Path) -> None:
    nines = "9" * 5000
    text = f"a \nSteps: {nines}, Seed: 1e999, CFG scale: nan, Size: {nines}x5, Sampler: Heun"
    settings = read_picture(with_text(tmp_path, parameters=text)).settings
    assert settings == {"prompt": "a", "negative": "", "sampler": "Heun"}


def test_the_commands_read_and_warn(tmp_path: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    read = run("sdviz.archive", "import", CASES / "jpg_be.jpg", CASES / "civitai.png", "--json")
    assert [one["seed"] for one in json.loads(read.stdout)] == [5, 839351144]
    assert "warning:" in read.stderr and "lora Some, style (0.4)" in read.stderr
    swept = run(
        "sdviz.sweep", f"from={CASES / 'fooocus.png'}", "width=64", "height=64", "dry_run=true",
        "visdom.enabled=false", f"outputs={tmp_path}", "sampler=Heun",
    )  # fmt: skip
    assert swept.returncode == 0, swept.stderr
    assert "ignored: styles" in swept.stderr
    assert "lora=sd_xl_offset_example-lora_1.0+mine, which is not available here" in swept.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp932"])
def test_a_terminal_without_utf_8_gets_what_it_can_show(tmp_path: Path, encoding: str) -> None:
    command = [sys.executable, "-m", "sdviz.archive", "import", str(CASES / "text_utf8.png")]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert b"caf\\xe9" in done.stdout and b"seed=5" in done.stdout


KEYS = (
    *("prompt", "negative_prompt", "full_prompt", "steps", "seed", "sampler", "scheduler", "loras"),
    *(
        "guidance_scale",
        "base_model",
        "styles",
        "resolution",
        "vae",
        "clip_skip",
        "width",
        "height",
    ),
    *(
        "sui_image_params",
        "negativeprompt",
        "cfgscale",
        "loraweights",
        "uc",
        "v4_prompt",
        "caption",
    ),
    *("base_caption", "char_captions", "positive_prompt", "model", "name", "weight", "image"),
    *("class_type", "inputs", "text", "positive", "latent_image", "cfg", "KSampler", "1", "2", "3"),
    *("lora_name", "strength_model", "guidance", "sigmas", "noise", "guider", "Comment"),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20)
    | st.sampled_from(["euler", "karras", "512x512", "KSampler", "SaveImage", "\ud800", 10**30]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=30,
)  # fmt: skip


@fuzzed(150)
@given(
    values=st.dictionaries(st.sampled_from(KEYS), VALUES),
    key=st.sampled_from(["parameters", "invokeai_metadata", "sd-metadata", "prompt", "sdviz"]),
)
def test_any_json_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any], key: str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.png"
    info = PngInfo()
    info.add_text(key, json.dumps({"recipe": values} if key == "sdviz" else values))
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    try:
        recipe = read_picture(path)
    except ArchiveError:
        return
    "".join([*recipe.warnings, *map(str, recipe.settings.values())]).encode()


@fuzzed(150)
@given(
    name=st.sampled_from(sorted(EXPECTED)),
    at=st.integers(0, 2000),
    cut=st.integers(0, 12),
    filling=st.binary(max_size=12),
)
def test_a_damaged_picture_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, cut: int, filling: bytes
) -> None:
    data = (CASES / name).read_bytes()
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(data[:at] + filling + data[at + cut :])
    try:
        read_picture(path)
    except ArchiveError as error:
        assert str(path) in str(error)
