"""Scores and captions of finished pictures, by tiny models of the real kinds."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BertTokenizerFast,
    BlipConfig,
    BlipForConditionalGeneration,
    CLIPConfig,
    CLIPModel,
)

from sdviz import engine
from sdviz.archive.reader import Archive
from sdviz.archive.replay import events
from sdviz.archive.table import show_value
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.commands.archive._listing import show_text
from sdviz.errors import ModelError
from sdviz.events import CellScored, SweepFinished, SweepStarted
from sdviz.models.addons import scores, scoring
from sdviz.plan.config import Config, EngineConfig, ModelSpec, PreviewConfig
from sdviz.plan.planning import make_axes, make_plan
from sdviz.web.describe import description
from tests import tiny

VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
          "num_attention_heads": 2, "image_size": 32, "patch_size": 8}  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    words = tiny.tokenizer(folder)
    torch.manual_seed(1)
    text = {**VISION, "vocab_size": len(words), "eos_token_id": words.eos_token_id,
            "bos_token_id": words.bos_token_id}  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=VISION, projection_dim=12)
    CLIPModel(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blip")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "house", "sun", "hill", "tree"]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(words)})
    text = {**VISION, "vocab_size": len(words), "encoder_hidden_size": 16, "bos_token_id": 2,
            "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0,
            "max_position_embeddings": 64}  # fmt: skip
    torch.manual_seed(2)
    BlipForConditionalGeneration(
        BlipConfig(text_config=text, vision_config=VISION)
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as LAION has it: the state of a linear layer."""
    file = tmp_path_factory.mktemp("head") / "linear.pth"
    torch.save({"weight": torch.arange(12.0)[None], "bias": torch.tensor([5.0])}, file)
    return file


def patches(seed: int) -> Any:
    made = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return made.repeat(8, axis=0).repeat(8, axis=1)


def test_a_clip_score_is_the_angle_of_picture_and_prompt(clip: Path) -> None:
    one = scoring.Clip(clip, "cpu")
    model = CLIPModel.from_pretrained(clip).eval()
    ids = one._tokenizer("a red cat", return_tensors="pt").input_ids
    with torch.no_grad():
        text = model.text_projection(model.text_model(input_ids=ids).pooler_output)[0]
    cosine = torch.cosine_similarity(text, one.picture(patches(0)), dim=0)
    assert one.score("a red cat", patches(0)) == pytest.approx(
        max(0.0, 100 * float(cosine)), abs=1e-3
    )
    assert one.score("a (red:1.3) cat", patches(0)) == one.score("a red cat", patches(0))
    told = {one.score(prompt, patches(i)) for prompt in ("a cat", "moon") for i in range(4)}
    assert len(told) > 2 and all(0 <= score <= 100 for score in told)


def test_an_aesthetic_score_is_the_linear_head_on_clip(clip: Path, head: Path) -> None:
    eye = scoring.Clip(clip, "cpu")
    expected = float(torch.arange(12.0) @ eye.picture(patches(3))) + 5
    assert scoring.Aesthetic(head, eye).score(patches(3)) == pytest.approx(expected, abs=1e-4)


def test_a_head_of_another_clip_or_none_is_refused(clip: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide.pth"
    torch.save({"weight": torch.zeros(1, 768), "bias": torch.zeros(1)}, wide)
    with pytest.raises(ModelError, match="takes 768 numbers, but CLIP gives 12"):
        scoring.Aesthetic(wide, scoring.Clip(clip, "cpu"))
    other = tmp_path / "other.pth"
    other.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="not a linear layer"):
        scoring.Aesthetic(other, scoring.Clip(clip, "cpu"))


def test_a_caption_is_words_and_always_the_same(blip: Path) -> None:
    one = scoring.Captioner(blip, "cpu")
    caption = one.caption(patches(1))
    assert caption == one.caption(patches(1))
    assert set(caption.split()) <= {"a", "house", "sun", "hill", "tree", "[UNK]"}
    assert caption


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"score": ("clipp",)}, "score=clipp: did you mean clip?"),
        ({"score": ("aesthetic",)}, "score_aesthetic= must name"),
        ({"score": ("clip",), "score_clip": "nowhere/at/all"}, "score_clip=nowhere/at/all"),
        ({"caption": "blip"}, "Salesforce/blip-image-captioning-base"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_it_begins(
    given: dict[str, Any], told: str, tiny_model: Path, clip: Path
) -> None:
    config = Config(models={"t": ModelSpec(name="t", id=str(tiny_model))})
    if "score_clip" not in given:
        config = replace(config, score_clip=str(clip))
    assert told in "\n".join(map(str, scores.check(replace(config, **given))))


def test_models_of_other_kinds_are_refused_before_it_begins(
    tiny_model: Path, clip: Path, blip: Path, head: Path, tmp_path: Path
) -> None:
    config = Config(models={"t": ModelSpec(name="t", id=str(tiny_model))}, score_clip=str(clip))
    bare, narrow = tmp_path / "bare", tmp_path / "narrow.pth"
    bare.mkdir()
    (bare / "config.json").write_bytes((blip / "config.json").read_bytes())
    torch.save({"weight": torch.zeros(1, 3), "bias": torch.zeros(1)}, narrow)
    (tmp_path / "text.pth").write_text("no tensors")

    def told(**given: Any) -> list[str]:
        return [str(error) for error in scores.check(replace(config, **given))]

    both = ("clip", "aesthetic")
    assert told(score=both, score_aesthetic=str(head), caption=str(blip)) == []
    (empty,) = told(caption=str(tmp_path))
    assert "caption: " in empty and "has no config.json of a model; caption= names" in empty
    (other,) = told(caption=str(clip))
    assert "is a model of type clip; caption= names a folder or a hub id of a BLIP" in other
    (hollow,) = told(caption=str(bare))
    assert "has no weights; download it again" in hollow
    (blind,) = told(score=("clip",), score_clip=str(blip))
    assert "score_clip: " in blind and "is a model of type blip" in blind
    (few,) = told(score=both, score_aesthetic=str(narrow))
    assert "takes 3 numbers, but CLIP gives 12" in few
    (text,) = told(score=both, score_aesthetic=str(tmp_path / "text.pth"))
    assert "not a linear layer with weight and bias" in text


def test_a_sweep_archives_what_is_said_of_its_pictures(
    tiny_model: Path, clip: Path, blip: Path, head: Path, tmp_path: Path
) -> None:
    plan = make_plan(
        make_axes({"seed": [1, 2]}),
        {"model": "t", "prompt": "a cat", "steps": 1, "width": 64, "height": 64},
        defaults={"t": {}},
        identities={"t": "0" * 64},
    )
    config = Config(
        device="cpu",
        models={"t": ModelSpec(name="t", id=str(tiny_model))},
        engine=EngineConfig(batch=4),
        preview=PreviewConfig(decoder="none"),
        score=("clip", "aesthetic"),
        score_clip=str(clip),
        score_aesthetic=str(head),
        caption=str(blip),
    )
    archive = ArchiveWriter.open(tmp_path, "a", plan, {}, reuse=False)
    archive.handle(SweepStarted("a", plan, {}))
    engine.run(plan.cells, plan=plan, config=config, emit=archive.handle)
    archive.handle(SweepFinished("finished", 1.0))
    archive.close()
    with Archive(tmp_path / "a") as read:
        told = read.scores()
        assert list(told) == [0, 1]
        eye = scoring.Clip(clip, "cpu")
        for i, one in told.items():
            pixels = np.asarray(read.image(i))
            assert one["scores"]["clip"] == pytest.approx(eye.score("a cat", pixels), abs=1e-2)
            assert set(one["scores"]) == {"clip", "aesthetic"} and one["caption"]
        replayed = [event for event in events(read) if isinstance(event, CellScored)]
        assert [event.scores for event in replayed] == [one["scores"] for one in told.values()]
        assert description(read)["scores"] == told
        heads, *lines = show_text(read, most=2).split("\n\n")[1].splitlines()
        assert heads.split()[-4:] == ["clip", "aesthetic", "image", "caption"]
        for line, one in zip(lines, told.values(), strict=True):
            assert line.split()[5] == show_value(one["scores"]["clip"])
            assert one["caption"][:40] in line
        order = [type(event).__name__ for event in events(read)]
    assert all(
        (a, b) == ("CellFinished", "CellScored")
        for a, b in itertools.pairwise(order)
        if b == "CellScored"
    )


def test_what_was_archived_unscored_is_scored_when_that_is_asked(
    tiny_model: Path, clip: Path, blip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sdviz.commands.sweep.conduct import conduct
    from sdviz.request.compose import prepare

    words = [f"model={tiny_model}", "steps=1", "name=a", f"outputs={tmp_path}", "visdom=off"]
    by_clip = ["score=clip", f"score_clip={clip}"]

    def told(*more: str) -> dict[int, Any]:
        assert conduct(prepare([*words, "device=cpu", *more])) == 0
        with Archive(tmp_path / "a") as archive:
            assert archive.status == "finished"
            return archive.scores()

    assert told("seed=1,2") == {}
    scored = told("seed=1,2", *by_clip)
    assert "2 archived cells to score or caption" in capsys.readouterr().out
    wider = told("seed=1,2,3", *by_clip, f"caption={blip}")
    assert "2 archived cells to score or caption\n1 cell to compute" in capsys.readouterr().out
    assert [set(one["scores"]) for one in wider.values()] == [{"clip"}] * 3
    assert all(one["caption"] for one in wider.values())
    assert [wider[i]["scores"] for i in (0, 1)] == [scored[i]["scores"] for i in (0, 1)]
    assert told("seed=1,2,3", *by_clip, f"caption={blip}") == wider
    assert "to score" not in capsys.readouterr().out
