"""What no memory would hold is refused; where memory runs out on the way, a sweep goes on."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from sdviz import models
from sdviz.commands.live.keeper import Keeper
from sdviz.errors import ConfigError
from sdviz.events import CellFailed, CellFinished, Note, Progress
from sdviz.models.hardware import options, room
from sdviz.plan.config import ModelSpec
from tests.commands.sweep.test_sweep import sdviz
from tests.engine.sweeping import cells_of, of_type, sweep
from tests.settings import making

ABSURD = 1 << 42  # bytes: four terabytes


def vast(file: Path, count: int) -> None:
    """A .safetensors file of `count` numbers, of which the disk holds none."""
    about = {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}
    header = json.dumps({"conv_in.weight": about}).encode()
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(header)) + header)
        out.truncate(8 + len(header) + 4 * count)


def test_weights_that_fit_no_memory_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    """Before they are read: hashing four terabytes would take hours."""
    big = tmp_path / "big"
    shutil.copytree(tiny_model, big)
    try:
        vast(big / "unet" / "diffusion_pytorch_model.safetensors", ABSURD // 4)
    except OSError as error:
        pytest.skip(f"no such file on this disk: {error}")
    result = sdviz(f"model={big}", "steps=1", "visdom=off", "device=cpu", cwd=tmp_path, torch=False)
    assert result.returncode == 2, result.stderr
    assert f"model={big}: not enough memory: its weights take 4,398" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "outputs").exists()


def test_a_picture_that_fits_no_memory_is_refused(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModelSpec(name="t", id=str(tiny_model))
    info = models.inspect(spec)
    needed = room.decoding(info, 1024, 512, "float32")
    assert needed == 2 * 16 * 1024 * 512 * 4  # in and out of a convolution of 16 channels
    own = room.weights(spec, info, "float32")
    there = {"device": "cpu", "dtype": "float32"}
    monkeypatch.setattr(room, "free", lambda device: own + needed)
    room.check_picture(spec, info, 1024, 512, **there)
    with pytest.raises(ConfigError, match=r"width=1024, height=520: not enough memory: t needs"):
        room.check_picture(spec, info, 1024, 520, **there)
    room.check_picture(spec, info, 1024, 520, device="cpu", dtype="bfloat16")
    monkeypatch.setattr(room, "free", lambda device: own - 1)
    with pytest.raises(ConfigError, match="a half-precision dtype needs half of it"):
        room.check_weights(spec, info, **there)


def test_a_sweep_of_too_large_pictures_is_refused_but_in_tiles(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sdviz.errors import ConfigErrors
    from sdviz.request.compose import prepare

    monkeypatch.setattr(room, "free", lambda device: 1 << 30)
    words = [f"model={tiny_model}", "width=64,4096", "height=4096", "device=cpu", "visdom=off",
             f"outputs={tmp_path / 'out'}"]  # fmt: skip
    with pytest.raises(ConfigErrors, match=r"width=4096, height=4096: not enough memory"):
        prepare(words)
    assert prepare([*words, "engine.vae_tiling=true"]).plan.cells
    with pytest.raises(ConfigErrors, match="width=8192, height=8192"):  # of the second pass
        prepare([*words[:1], "width=4096", *words[2:], "hires_scale=2"])
    assert not (tmp_path / "out").exists()


def test_the_weights_are_those_that_are_loaded(tiny_model: Path) -> None:
    spec = ModelSpec(name="t", id=str(tiny_model))
    denoiser: Any = models.load(spec)
    parts = (denoiser.unet, denoiser.vae, denoiser.make_pipeline().text_encoder)
    held = sum(w.numel() * w.element_size() for part in parts for w in part.parameters())
    assert room.weights(spec, models.inspect(spec), "float32") == pytest.approx(held, rel=0.01)


def test_some_memory_is_free() -> None:
    assert room.free("cpu") > 100_000_000


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB)",
        "Invalid buffer size: 16.00 GiB",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
    ],
)
def test_every_device_has_its_words_for_it(words: str) -> None:
    assert options.is_exhausted(RuntimeError(words))


class Scarce:
    """A VAE's decode that has memory for tiles alone, or not even for them."""

    def __init__(self, vae: Any, decode: Any, *, tiles: bool = True) -> None:
        self.vae = vae
        self.decode = decode
        self.tiles = tiles

    def __call__(self, latents: torch.Tensor, **more: Any) -> Any:
        if not (self.tiles and self.vae.use_tiling):
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9")
        return self.decode(latents, **more)


@pytest.mark.parametrize("tiles", [True, False])
@pytest.mark.parametrize("kind", ["auto", "other"])  # in the batch, and as a whole pipeline
def test_memory_that_runs_out_in_the_vae(
    kind: str, tiles: bool, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = models.load

    def scarce(spec: ModelSpec, **options: Any) -> Any:
        model = load(spec, **options)
        monkeypatch.setattr(model.vae, "decode", Scarce(model.vae, model.vae.decode, tiles=tiles))
        return model

    monkeypatch.setattr(models, "load", scarce)
    spec = ModelSpec(name="tested", id=str(tiny_model), kind=kind)
    told = sweep(cells_of({"seed": 1}, {"seed": 2}), spec=spec, batch=4)
    done = {event.cell: event.notes for event in of_type(told, CellFinished)}
    failed = of_type(told, CellFailed)
    notes = [note.text for note in of_type(told, Note) if note.kind == "memory"]
    assert len(notes) == 1 and "in tiles" in notes[0]
    if tiles:
        assert failed == [] and sorted(done) == [0, 1]
        assert all("decoded in tiles, because memory ran out" in own for own in done.values())
        progress = of_type(told, Progress)[-1]
        assert progress.evaluations == progress.total
    else:
        assert done == {} and all("memory ran out" in event.reason for event in failed)
        assert sorted(event.cell for event in failed) == [0, 1]


@pytest.mark.parametrize("asked", [{"init": "x"}, {"hires_scale": 2, "hires_upscaler": "pixel"}])
def test_memory_that_runs_out_where_a_picture_becomes_a_latent(
    asked: dict[str, Any], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = models.load

    def scarce(spec: ModelSpec, **options: Any) -> Any:
        model = load(spec, **options)
        monkeypatch.setattr(model.vae, "encode", Scarce(model.vae, model.vae.encode))
        return model

    monkeypatch.setattr(models, "load", scarce)
    inits = {"x": making.known(making.picture(tmp_path / "x.png"))}
    told = sweep(cells_of({"seed": 1}, asked), folder=tiny_model, batch=4, inits=inits)
    assert of_type(told, CellFailed) == []
    notes = [note.text for note in of_type(told, Note) if note.kind == "memory"]
    assert len(notes) == 1 and "in tiles" in notes[0]
    assert len(of_type(told, CellFinished)) == 2


@pytest.mark.parametrize("kind", ["auto", "other"])
def test_a_model_that_stays_in_memory_does_not_stay_in_tiles(kind: str, tiny_model: Path) -> None:
    """On the live page: the pictures after the one that memory was too small for."""
    keeper = Keeper()
    spec = ModelSpec(name="t", id=str(tiny_model), kind=kind)
    vae = keeper.load(spec).vae
    whole = vae.decode

    def notes(*, scarce: bool) -> tuple[str, ...]:
        vae.decode = Scarce(vae, whole) if scarce else whole
        told = sweep(cells_of({"steps": 2}), spec=spec, batch=4, load=keeper.load)
        (done,) = of_type(told, CellFinished)
        return done.notes

    assert [bool(notes(scarce=scarce)) for scarce in (False, True, False, True)] == [
        *(False, True, False, True)
    ]
    assert keeper.load(spec).vae is vae  # the model has not been loaded anew
