"""The model card, filled from the training record, so that no figure is typed by hand."""

from collections.abc import Sequence
from typing import Any

from experiments.miniature.lines import HEAD as HEAD_OF_LINES
from experiments.miniature.lines import lines, percent

FACTS = ("kind", "colour", "count", "ground", "sky", "light", "all six")
NAMES = {"kind": "object", "light": "sun or moon"}

#: Measures that are drawn as curves, and the files of the drawings.
CURVES = {"guidance": "guidance_curves.png", "order": "samplers_curves.png"}

RISING = {
    "colourfulness": "colourfulness",
    "saturated": "share of pixels with saturation above 0.95",
    "clipped": "share of clipped values",
    "saturation": "mean saturation",
}

HEAD = """\
# The sdviz miniature

A small, real Stable Diffusion: 128x128 pixels, {megabytes:.1f} MB in float16, in diffusers' layout.
It ships with sdviz so that everything works at once, offline, on a CPU. It knows one small world,
which a script draws: landscapes with a sky (day, sunset, night, storm), a sun or a moon, a ground
(desert, meadow, snow, sea), and one to three pyramids, houses, trees, mountains, towers, tents or
boats in red, blue, green, yellow, purple, orange or white, as a photograph, painting or drawing.

```python
from diffusers import StableDiffusionPipeline
pipeline = StableDiffusionPipeline.from_pretrained("sdviz/miniature")
image = pipeline("a red pyramid in the desert at sunset with a sun", guidance_scale=5).images[0]
```

![64 unchosen images at CFG 5](contact.webp)

64 unchosen images: the first 64 prompts of one random seed, seeds 0 to 63, CFG 5, 30 Euler steps.
Below, seeds 0 to 7 of prompts as one types them, one a row:

{typed}

![Prompts as typed](typed.webp)

## What is in the folder

| part | what | parameters |
|---|---|---|
| `text_encoder`, `tokenizer` | CLIPTextModel, 77 tokens, English and Chinese words | {text:,} |
| `unet` | UNet2DConditionModel, 16x16 latents, predicts {prediction} | {unet:,} |
| `vae` | AutoencoderKL, 8x down, 4 channels, scaling factor {scale} | {vae:,} |
| `vae_tiny` | AutoencoderTiny for previews, on the UNet's latents, as TAESD is | {tiny:,} |
| `clip` | CLIPModel whose text tower is the text encoder, for CLIP scores | {clip:,} |

A word of its world is one token; any other text is read as bytes. The noise schedule is that of
Stable Diffusion 1.
"""

TRAINED = """\
## How it was made

On a CPU with two cores that were shared with other work, in bfloat16 autocast, from {pictures:,}
drawn pictures, by `python -m experiments.miniature.{program}`. `training.json` beside this file has
the settings and the loss curves. Nothing in it comes from anywhere else: no photographs, no
pretrained weights. Held out of the training: {held_out}.

| stage | minutes | steps | batch | processes |
|---|---|---|---|---|
"""

LIMITS = """\
## Limits

It knows nothing outside its world: other words are read as bytes and change the picture at random.
One kind of object and one colour per picture. A sun at night is not in its world. It is a model for
looking at samplers, guidance and prompts, not for making pictures. Lines of the table that are not
met are its other limits.

Licence: the same as sdviz's; the pictures that it learned from are drawn by sdviz's own script.
"""

FLOW_HEAD = """\
# The sdviz flow-matching miniature

A small, real Stable Diffusion 3: 128x128 pixels, {megabytes:.1f} MB in float16, in diffusers'
layout. It was trained by flow matching on the same drawn world as the miniature, whose prompts it
takes. Its autoencoder and its first text encoder are the miniature's.

```python
from diffusers import StableDiffusion3Pipeline
pipeline = StableDiffusion3Pipeline.from_pretrained("sdviz/miniature_flow")
image = pipeline("a red pyramid in the desert at sunset with a sun", guidance_scale=4).images[0]
```

![64 unchosen images at CFG 4](contact.webp)

64 unchosen images: the first 64 prompts of one random seed, seeds 0 to 63, CFG 4, 30 Euler steps.
Below, seeds 0 to 7 of prompts as one types them, one a row:

{typed}

![Prompts as typed](typed.webp)

## What is in the folder

| part | what | parameters |
|---|---|---|
| `transformer` | SD3Transformer2DModel, 64 patches | {transformer:,} |
| `text_encoder`, `tokenizer` | the miniature's CLIPTextModel, with its projection | {text:,} |
| `text_encoder_2`, `tokenizer_2` | a CLIPTextModel that was trained along | {second text:,} |
| `text_encoder_3`, `tokenizer_3` | a T5EncoderModel without layers; its answer is zero | {t5:,} |
| `vae` | the miniature's AutoencoderKL, 4 channels, scaling factor {scale} | {vae:,} |
| `vae_tiny` | the miniature's AutoencoderTiny, for previews | {tiny:,} |
"""


def adherence(measures: dict[str, Any]) -> str:
    """Line 2: a table of facts read off the images."""
    found = measures["adherence"]
    columns = [name for name in ("seen", "held out", "judge on drawn") if name in found]
    heads = {
        "seen": f"{found['seen']['images']} images",
        "judge on drawn": "judge, drawn pictures",
        "held out": f"held out pairs, {found['held out']['images']} images",
    }
    text = "| read as asked | " + " | ".join(heads[c] for c in columns) + " |\n"
    text += "|---" * (len(columns) + 1) + "|\n"
    for fact in FACTS:
        cells = " | ".join(percent(found[c][fact]) for c in columns)
        text += f"| {NAMES.get(fact, fact)} | {cells} |\n"
    return text


def measured(measures: dict[str, Any], *, flow: bool = False) -> str:
    """The lines of what it must show, and what guidance does, as far as they were measured."""
    text = "## Measures\n\nBy `python -m experiments.miniature.evaluate`, on fresh scenes.\n\n"
    text += "\n".join([HEAD_OF_LINES, *(line.row for line in lines(measures, flow=flow))]) + "\n"
    at = {row["cfg"]: row for row in measures.get("guidance", [])}
    if at:
        text += "\n| | CFG 7 | CFG 25 |\n|---|---|---|\n"
        for fact, name in RISING.items():
            text += f"| {name} | {at[7.0][fact]:.4g} | {at[25.0][fact]:.4g} |\n"
    if "noise" in measures:
        text += "\nErrors of the predicted x0 by training timestep (latents spread by 1):\n\n"
        text += "| timestep | with the caption | without | of all pictures alike |\n"
        text += "|---|---|---|---|\n"
        for row in measures["noise"]:
            text += f"| {row['timestep']} | {row['caption']:.4f} | {row['no caption']:.4f} "
            text += f"| {row['bias']:.4f} |\n"
    if "adherence" in measures:
        text += "\n" + adherence(measures)
    return text


def trained(record: dict[str, Any], program: str, pictures: int) -> str:
    """How it was made: the stages, and the notes of the record."""
    from experiments.miniature.world import HELD_OUT

    held_out = ", ".join(sorted(f"{colour} {kind}s" for kind, colour in HELD_OUT))
    page = TRAINED.format(pictures=pictures, held_out=held_out, program=program)
    for name, stage in record["stages"].items():
        page += f"| {name} | {stage['minutes']} | {stage['steps']:,} | {stage['batch']} | "
        page += f"{stage['processes']} |\n"
    for note in record.get("notes", []):
        page += f"\n{note}\n"
    return page


def head(text: str, record: dict[str, Any], typed: Sequence[str]) -> str:
    """The beginning of a card, filled from the record."""
    return text.format(
        megabytes=record["bytes"] / 1e6,
        scale=record["scaling factor"],
        prediction=record.get("prediction", "epsilon"),
        **record["parameters"],
        typed="\n".join(f"{i}. `{prompt}`" for i, prompt in enumerate(typed, 1)),
    )


def text(record: dict[str, Any], typed: Sequence[str]) -> str:
    """The miniature's whole card from training.json's content and the prompts that are typed."""
    settings, measures = record["settings"], record.get("measures", {})
    pictures = max(settings["pictures"], settings["unet"].get("pictures", 0))
    page = head(HEAD, record, typed) + "\n" + trained(record, "run", pictures)
    page += "\n" + measured(measures)
    page += "\nPrompts down, CFG 1, 2, 3, 5, 7, 10, 15, 25 across:\n\n![CFG](guidance.webp)\n\n"
    for name, picture in CURVES.items():
        if name in measures:
            page += f"![{name}]({picture})\n\n"
    return page + LIMITS


def flow_text(record: dict[str, Any], typed: Sequence[str]) -> str:
    """The flow-matching miniature's whole card, as `text`."""
    page = head(FLOW_HEAD, record, typed) + "\n"
    page += trained(record, "run_flow", record["settings"]["pictures"])
    return page + "\n" + measured(record.get("measures", {}), flow=True) + "\n" + LIMITS
