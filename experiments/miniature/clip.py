"""CLIP, small: a text and an image tower taught to agree; the text tower is the text encoder."""

import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTextModel, CLIPTokenizer

from experiments.miniature import world
from experiments.miniature.autoencoder import to_tensor
from experiments.miniature.captions import described, full
from experiments.miniature.data import scene_of
from experiments.miniature.live import Live
from experiments.miniature.tokens import LENGTH
from experiments.miniature.training import Budget, Stage, fit
from experiments.miniature.world import SIZE, Scene

log = logging.getLogger(__name__)

#: The facts of a scene and their values; an empty scene has no kind and no colour.
FACTS: dict[str, tuple[object, ...]] = {
    "kind": world.KINDS,
    "colour": world.COLOURS,
    "count": (0, *world.COUNTS),
    "ground": world.GROUNDS,
    "sky": world.SKIES,
    "light": world.LIGHTS,
    "style": world.STYLES,
}
LONGEST = 32  # tokens, more than any caption of the world has
#: CLIPImageProcessor's means and deviations (OpenAI's CLIP), so that the stock processor fits.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def clip_model(tokenizer: CLIPTokenizer, width: int, text: int, image: int) -> CLIPModel:
    """Two transformers of `width`; `text` and `image` are their numbers of layers."""
    tower = {"hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": 4}
    ends = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(
        text_config={
            **tower,
            **ends,
            "num_hidden_layers": text,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": LENGTH,
            "projection_dim": 64,
        },
        vision_config={
            **tower,
            "num_hidden_layers": image,
            "image_size": SIZE,
            "patch_size": 16,
            "projection_dim": 64,
        },
        projection_dim=64,
    )
    torch.manual_seed(0)
    model = CLIPModel(config)
    model.set_attn_implementation("eager")  # twice the speed of the fused one on a CPU
    return model


def text_encoder(clip: CLIPModel) -> CLIPTextModel:
    """The pipeline's text encoder: the text tower of a CLIP, the same weights."""
    encoder = CLIPTextModel(clip.config.text_config)
    state = clip.text_model.state_dict()
    own = encoder.state_dict()
    prefix = "text_model." if any(name.startswith("text_model.") for name in own) else ""
    encoder.load_state_dict({prefix + name: weight for name, weight in state.items()})
    return encoder.eval()


def token_ids(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Tokens as the pipeline makes them: int64 (n, 77)."""
    padded = tokenizer(
        list(texts), padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    )
    return padded.input_ids


def normalised(images: Tensor) -> Tensor:
    """Images in -1..1 as the image tower wants them."""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    return ((images + 1) / 2 - mean) / torch.tensor(DEVIATION).view(1, 3, 1, 1)


def labels_of(scenes: Sequence[Scene]) -> Tensor:
    """Each fact of each scene as the number of its value: int64 (n, facts); -100 has no value."""
    rows = []
    for scene in scenes:
        row = [values.index(getattr(scene, fact)) for fact, values in FACTS.items()]
        rows.append(row if scene.count else [-100, -100, *row[2:]])
    return torch.tensor(rows)


def truth(pictures: Tensor, captions: Tensor, told: Tensor) -> Tensor:
    """Whether each caption is true of each picture, from labels and told facts: bool (n, m)."""
    same = pictures[:, None] == captions[None]
    return (same | ~told[None]).all(-1)


def altered(scene: Scene, rng: random.Random) -> Scene:
    """The scene with one fact changed: what a caption must not say of it."""
    fact = rng.choice(list(FACTS)[: 6 if scene.count else 5])
    fact = fact if scene.count else rng.choice(("ground", "sky"))
    values = [v for v in FACTS[fact] if v not in (0, "none", getattr(scene, fact))]
    return replace(scene, **{fact: rng.choice(values)})


class Heads(nn.Module):
    """A linear reading of every fact, to teach the towers faster; thrown away afterwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(width, len(values)) for values in FACTS.values())

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The mean cross entropy of the facts that have a label."""
        losses = [
            F.cross_entropy(head(x).float(), labels[:, i], ignore_index=-100)
            for i, head in enumerate(self.heads)
        ]
        return torch.stack(losses).mean()


class Pair(nn.Module):
    """CLIP and the heads that help it."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip
        self.image_heads = Heads(clip.config.vision_config.hidden_size)
        self.text_heads = Heads(clip.config.text_config.hidden_size)

    def forward(
        self, images: Tensor, ids: Tensor, labels: Tensor, said: Tensor, true: Tensor
    ) -> Tensor:
        """The contrastive loss; other captions that are true of a picture do not count as wrong."""
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.clip.vision_model(pixel_values=images).pooler_output
            read = self.clip.text_model(input_ids=ids).pooler_output
            a = F.normalize(self.clip.visual_projection(seen).float(), dim=-1)
            b = F.normalize(self.clip.text_projection(read).float(), dim=-1)
        n = len(a)
        own = torch.eye(n, len(b), dtype=torch.bool)
        scale = self.clip.logit_scale.exp().clamp(max=100)
        logits = (scale * a @ b.T).masked_fill(true & ~own, -1e4)
        wanted = torch.arange(n)
        contrast = F.cross_entropy(logits, wanted) + F.cross_entropy(logits[:, :n].T, wanted)
        return contrast + self.image_heads(seen, labels) + self.text_heads(read, said)


def train_clip(
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    pictures: np.ndarray,
    budget: Budget,
    work: Path,
    live: Live,
) -> Stage:
    """Each batch: pictures, a caption of each, and as many captions that are wrong by one fact."""
    stage = Stage("clip", Pair(clip), budget)

    def loss_of() -> Tensor:
        rows = np.sort(np.random.randint(0, len(pictures), budget.batch))
        images = to_tensor(pictures[rows])
        images = images.flip(3) if np.random.rand() < 0.5 else images
        rng = random.Random(int(np.random.randint(1 << 31)))
        scenes = [scene_of(int(row)) for row in rows]
        wrong = [altered(scene, rng) for scene in scenes]
        texts, told = zip(*(described(scene, rng) for scene in scenes), strict=True)
        said = torch.tensor([[t[fact] for fact in FACTS] for t in told])
        labels, wrong_labels = labels_of(scenes), labels_of(wrong)
        everything = torch.ones_like(said)
        true = truth(labels, torch.cat([labels, wrong_labels]), torch.cat([said, everything]))
        # The tower looks back only and pools the first end token: what follows it costs nothing.
        ids = token_ids(tokenizer, [*texts, *(full(scene) for scene in wrong)])[:, :LONGEST]
        read = torch.cat([labels.masked_fill(~said, -100), wrong_labels])
        return stage.model(normalised(images), ids, labels, read, true)

    fit(stage, loss_of, work, live)
    return stage


@torch.no_grad()
def scores(
    clip: CLIPModel, tokenizer: CLIPTokenizer, pictures: np.ndarray, texts: list[str]
) -> Tensor:
    """Cosines of every picture (uint8) with every text: float (n, m)."""
    images = []
    for start in range(0, len(pictures), 64):
        seen = normalised(to_tensor(pictures[start : start + 64]))
        pooled = clip.vision_model(pixel_values=seen).pooler_output
        images.append(F.normalize(clip.visual_projection(pooled), dim=-1))
    read = clip.text_model(input_ids=token_ids(tokenizer, texts)).pooler_output
    return torch.cat(images) @ F.normalize(clip.text_projection(read), dim=-1).T
