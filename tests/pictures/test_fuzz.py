"""Pictures with hostile texts and damaged bytes: a recipe or a refusal, in linear time."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdviz.errors import ArchiveError, ConfigError
from sdviz.pictures import files, infotext
from sdviz.pictures.recipes import read_picture
from sdviz.request.from_picture import recipe_of_picture
from tests.fuzzing import fuzzed

FRAGMENTS = st.sampled_from(
    [
        *("a", " ", ",", ":", "\n", '"', "\\", "a:", "a b", "a: ", 'ab: "', "aa: b,", "Steps: 1,"),
        *("<lora:", "<lora:a:1>", ">", "[", "{", "(", "(a:1.1)", "\ud800", "\0", "Size: 1x1, "),
        *("Negative prompt:", "Template:", "Size: " + "9" * 5000 + "x1,", "Seed: 1e999, "),
        *("BREAK ", "AND ", "\r\n", "Hashes: {", '\\"', "\u2028", "Civitai resources: [", "  ,"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)  # fmt: skip
KNOWN = st.sampled_from(
    [
        *("recipe", "prompt", "inputs", "class_type", "KSampler", "sui_image_params", "steps"),
        *("cfg", "seed", "width", "sampler", "model", "loras", "base_model", "metadata", "uc"),
        *("positive", "negative_prompt", "nodes", "1", "2", "resolution", "guidance_scale"),
    ]
)
GRAPHS = st.recursive(
    JSON | st.sampled_from(["KSampler", "CLIPTextEncode", ["1", 0], ["2", 0], "9" * 5000]),
    lambda inner: st.dictionaries(KNOWN, inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=20,
)


def png(path: Path, texts: dict[str, str]) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, infotext.clean(text))
    Image.new("RGB", (2, 2)).save(path, pnginfo=info)
    return path


def read(path: Path) -> None:
    for reader in (read_picture, recipe_of_picture):
        try:
            reader(path)
        except (ArchiveError, ConfigError) as error:
            assert path.name in str(error)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures") / "x.png"


@fuzzed(150)
@given(parts=st.lists(FRAGMENTS | st.text(max_size=6), max_size=30))
def test_texts_of_a_picture(file: Path, parts: list[str]) -> None:
    text = "".join(parts)
    found = infotext.read(text)
    assert len(found.prompt) + len(found.negative) <= len(text)
    read(png(file, {"parameters": text}))


@fuzzed(30)
@given(parts=st.lists(FRAGMENTS, min_size=1, max_size=3), tail=FRAGMENTS)
def test_texts_of_a_hundred_thousand_letters(file: Path, parts: list[str], tail: str) -> None:
    """What takes quadratic time on these takes hours."""
    text = ("".join(parts) * 100_000)[:100_000] + tail
    read(png(file, {"parameters": text}))


@fuzzed(150)
@given(
    key=st.sampled_from(
        ["parameters", "sdviz", "prompt", "workflow", "invokeai_metadata", "sd-metadata", "Comment"]
    ),
    value=GRAPHS,
)
def test_json_of_a_picture(file: Path, key: str, value: object) -> None:
    text = json.dumps(value).replace('"' + "9" * 5000 + '"', "9" * 5000)
    read(png(file, {key: text, "Software": "NovelAI", "Title": "x"}))


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    info = PngInfo()
    info.add_text("parameters", "a\nSteps: 1, Sampler: Euler, CFG scale: 7", zip=True)
    exif = Image.Exif()
    exif[0x010E] = "a\nSteps: 1, Sampler: Euler, CFG scale: 7"
    image = Image.effect_noise((24, 16), 40).convert("RGB")
    image.save(buffer, kind, **({"pnginfo": info} if kind == "PNG" else {"exif": exif}))
    return buffer.getvalue()


WHOLE = {kind: encoded(kind) for kind in ("PNG", "JPEG", "WEBP")}


@fuzzed(150)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=5))),
    cut=st.none() | st.floats(0, 1),
)
def test_bytes_of_a_picture(
    file: Path, kind: str, edits: list[tuple[float, bytes]], cut: float | None
) -> None:
    data = bytearray(WHOLE[kind])
    for at, new in edits:
        place = int(at**3 * len(data))  # most of them in the headers
        data[place : place + len(new)] = new
    file.write_bytes(bytes(data if cut is None else data[: int(cut * len(data))]))
    read(file)
    try:
        assert files.decode(file, file.name).mode == "RGB"
    except ArchiveError as error:
        assert file.name in str(error)
