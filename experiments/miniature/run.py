"""Draws, trains, measures and writes the miniature; stopped, it goes on where it was.

python -m experiments.miniature.run
python -m experiments.miniature.run work=outputs/try unet.budget.minutes=5
python -m experiments.miniature.run start=sdviz/miniature unet.budget.rate=0.0005
python -m experiments.miniature.run start=sdviz/miniature only=[tiny]
"""

import json
import logging
import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from experiments.miniature import autoencoder, clip, data, export, tokens, unet, workers
from experiments.miniature.captions import full
from experiments.miniature.command import command
from experiments.miniature.live import Live
from experiments.miniature.paint import draw
from experiments.miniature.training import Budget, Stage
from experiments.miniature.world import measured_scene

log = logging.getLogger(__name__)

PLACES = ("work", "out", "start", "visdom")  # settings that say where, not how
PREVIEWS = {"tiny"}  # stages that no measure of the card depends on


@dataclass
class Making:
    """The stages, each of which trains what is left of its budget, then hands on its model."""

    settings: dict
    work: Path
    live: Live
    start: Path | None  # a folder whose models train on; its CLIP and its latents stay

    def budget(self, section: dict) -> Budget:
        """A stage's budget from its section of the configuration."""
        return Budget(**section["budget"], peek=self.settings["peek"])

    def stays(self, stage: str) -> bool:
        """Whether the stage's model ships as it is in `start`."""
        only = self.settings["only"]
        return self.start is not None and bool(only) and stage not in only

    def pictures(self) -> np.ndarray:
        if workers.rank() == 0:
            data.draw_all(self.work, self.settings["pictures"])
        workers.wait()
        return data.draw_all(self.work, self.settings["pictures"])

    def make_clip(self) -> tuple[clip.CLIPModel, clip.CLIPTokenizer, Stage | None]:
        s = self.settings["clip"]
        if self.start:
            model = clip.CLIPModel.from_pretrained(self.start / "clip")
            return model.eval(), clip.CLIPTokenizer.from_pretrained(self.start / "tokenizer"), None
        if workers.rank() == 0:
            tokens.build(self.work / "tokenizer")
        workers.wait()
        tokenizer = clip.CLIPTokenizer.from_pretrained(self.work / "tokenizer")
        model = clip.clip_model(tokenizer, s["width"], s["text_layers"], s["image_layers"])
        stage = clip.train_clip(
            model, tokenizer, self.pictures(), self.budget(s), self.work, self.live
        )
        return model.eval(), tokenizer, stage

    def make_autoencoder(self) -> tuple[autoencoder.AutoencoderKL, Stage | None]:
        s = self.settings["autoencoder"]
        if self.start:
            return autoencoder.AutoencoderKL.from_pretrained(self.start / "vae").eval(), None
        vae = autoencoder.autoencoder(s["widths"], s["layers"], s["groups"])
        fresh = np.stack([draw(scene) for scene in data.fresh_scenes(64, "autoencoder")])
        stage = autoencoder.train_autoencoder(
            vae, self.pictures(), fresh, self.budget(s), s["kl"], self.work, self.live
        )
        vae.eval()
        return vae, stage

    def latents(self, vae: autoencoder.AutoencoderKL) -> np.ndarray:
        """Of the pictures that the UNet sees; sets a new autoencoder's scaling factor by them."""
        count = max(self.settings["pictures"], self.settings["unet"]["pictures"])
        latents = data.draw_latents(self.work, count, vae)
        if not self.start:
            spread = float(latents[:4000].astype(np.float32).std())
            vae.register_to_config(scaling_factor=round(1 / spread, 5))
        return latents

    def prediction(self) -> str:
        """What the UNet predicts."""
        if not self.start or not self.stays("unet"):
            return unet.PREDICTION
        scheduler = json.loads((self.start / "scheduler/scheduler_config.json").read_text("utf-8"))
        return str(scheduler.get("prediction_type", "epsilon"))

    def make_decoder(self, vae: autoencoder.AutoencoderKL, latents: np.ndarray) -> Stage | None:
        s = self.settings["decoder"]
        if self.stays("decoder"):
            return None
        fresh = np.stack([draw(scene) for scene in data.fresh_scenes(64, "autoencoder")])
        return autoencoder.refine_decoder(
            vae, self.pictures(), latents, fresh, self.budget(s), self.work, self.live
        )

    def make_tiny(
        self, latents: np.ndarray, scale: float
    ) -> tuple[autoencoder.AutoencoderTiny, Stage | None]:
        s = self.settings["tiny"]
        tiny = autoencoder.tiny_autoencoder(s["width"], s["blocks"])
        if self.start:
            before = autoencoder.AutoencoderTiny.from_pretrained(self.start / "vae_tiny")
            if self.stays("tiny"):
                return before.eval(), None
            if shapes(before) == shapes(tiny):
                tiny = before
        stage = autoencoder.train_tiny(
            tiny, self.pictures(), latents, scale, self.budget(s), self.work, self.live
        )
        return tiny.eval(), stage

    def make_unet(
        self, words: unet.Words, vae: autoencoder.AutoencoderKL, latents: np.ndarray
    ) -> tuple[unet.UNet2DConditionModel, Stage | None]:
        s = self.settings["unet"]
        model = (
            unet.UNet2DConditionModel.from_pretrained(self.start / "unet")
            if self.start
            else unet.unet_model(s["widths"], s["heads"], self.settings["clip"]["width"])
        )
        if self.stays("unet"):
            return model.eval(), None
        scale = vae.config.scaling_factor
        rng = random.Random("samples")
        prompts = [full(measured_scene(rng)) for _ in range(32)]

        @torch.no_grad()
        def sample(model: unet.UNet2DConditionModel) -> np.ndarray:
            x = unet.denoise(model, words, prompts, list(range(32)), steps=20)
            images = autoencoder.to_pictures(vae.decode(x / scale).sample)
            data.write_sheet(self.work / "samples.png", images, 8)
            return images

        stage = unet.train_unet(
            model,
            words,
            latents,
            scale,
            s["drop"],
            self.budget(s),
            self.work,
            self.live,
            sample,
        )
        return stage.best, stage


def shapes(model: torch.nn.Module) -> dict[str, torch.Size]:
    """Of all weights: two models of one layout have the same."""
    return {name: weight.shape for name, weight in model.state_dict().items()}


def make(settings: dict) -> None:
    """Trains what is left to train, and writes the folder."""
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    workers.join()
    workers.seed(settings["seed"])
    start = Path(settings["start"]) if settings["start"] else None
    if settings["only"] and not start:
        raise SystemExit("only= names stages to train on: start= must name the folder")
    work = Path(settings["work"])
    making = Making(settings, work, Live(**settings["visdom"]), start)
    with nullcontext() if settings["peek"] else workers.alone(work, "miniature"):
        make_all(making)


def make_all(making: Making) -> None:
    """All stages in order."""
    settings, start = making.settings, making.start
    if not start:
        making.pictures()
    vae, vae_stage = making.make_autoencoder()
    clip_model, tokenizer, clip_stage = making.make_clip()
    latents = making.latents(vae)
    encoder = clip.text_encoder(clip_model)
    encoder.set_attn_implementation("eager")  # two thirds of the fused one's time on a CPU
    words = unet.Words(encoder, tokenizer)
    denoiser, unet_stage = making.make_unet(words, vae, latents)
    decoder_stage = making.make_decoder(vae, latents)
    tiny, tiny_stage = making.make_tiny(latents, vae.config.scaling_factor)
    if workers.rank():
        return
    folder, prediction = Path(settings["out"]), making.prediction()
    size = export.write_folder(folder, tokenizer, clip_model, vae, tiny, denoiser, prediction)
    log.info("%s: %.2f MB", folder, size / 1e6)
    stages = (vae_stage, clip_stage, unet_stage, decoder_stage, tiny_stage)
    parts = {"text": words.encoder, "unet": denoiser, "vae": vae, "tiny": tiny}
    parts["clip"] = clip_model
    sizes = {name: autoencoder.parameters(part) for name, part in parts.items()}
    before = data.read_json(start / "training.json", {}) if start else {}
    trained = [stage for stage in stages if stage]
    before["prediction"] = prediction
    write_record(folder, before, settings, vae.config.scaling_factor, sizes, trained)


def write_record(
    folder: Path,
    before: dict,
    settings: dict,
    scale: float,
    sizes: dict[str, int],
    stages: Sequence[Stage],
) -> None:
    """How the folder was made, beside it, after what `before` was made by; where it was made is
    nobody's business.
    """
    known = dict(before.get("stages", {}))
    for stage in stages:
        again = sum(name.split(",")[0] == stage.name for name in known)
        known[f"{stage.name}, trained on ({again})" if again else stage.name] = stage.record()
    record = {
        "format": 1,
        "settings": {k: v for k, v in settings.items() if k not in PLACES},
        "earlier settings": [
            *before.get("earlier settings", []),
            *([before["settings"]] if "settings" in before else []),
        ],
        "scaling factor": scale,
        "parameters": sizes,
        "stages": known,
        "notes": before.get("notes", []),
    }
    if "prediction" in before:
        record["prediction"] = before["prediction"]
    if {stage.name for stage in stages} <= PREVIEWS and "measures" in before:
        record |= {"measures": before["measures"], "bytes": export.size_of(folder)}
    data.write_json(folder / "training.json", record)


if __name__ == "__main__":
    command(make)()
