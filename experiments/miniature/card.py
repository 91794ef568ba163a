"""The model card, filled from the training record, so that no figure is typed by hand."""

from typing import Any

FACTS = ("kind", "colour", "count", "ground", "sky", "light", "all six")
NAMES = {"kind": "object", "light": "sun or moon"}

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
| `unet` | UNet2DConditionModel, 16x16 latents, noise prediction | {unet:,} |
| `vae` | AutoencoderKL, 8x down, 4 channels, scaling factor {scale} | {vae:,} |
| `vae_tiny` | AutoencoderTiny for previews, on the UNet's latents, as TAESD is | {tiny:,} |
| `clip` | CLIPModel whose text tower is the text encoder, for CLIP scores | {clip:,} |

A word of its world is one token; any other text is read as bytes. The noise schedule is that of
Stable Diffusion 1.
"""

TRAINED = """\
## How it was made

On a CPU with two cores that were shared with other work, in bfloat16 autocast, from {pictures:,}
drawn pictures, by `python -m experiments.miniature.run`; `training.json` beside this file has the
settings and the loss curves. Nothing in it comes from anywhere else: no photographs, no pretrained
weights. Held out of the training: {held_out}.

| stage | minutes | steps | batch | processes |
|---|---|---|---|---|
"""

LIMITS = """\
## Limits

A negative `pyramid` does not take the pyramid out of `a pyramid in the desert`: in its training a
caption that names a pyramid was always true, so both predictions hold one and guidance cannot
choose between them. `docs/miniature.md` tells what was tried. The mean of the HSV saturation falls
a little as the CFG scale rises; colourfulness, strongly saturated pixels and clipped values rise.
The colours of held out pairs are right half of the time.

Only Heun shows the order of its method: at 32 steps it is 0.43 of 255 from the converged image,
Euler and DPM++ 2M 1.06, DDIM 1.03, UniPC 1.70. DPM++ 2M and UniPC round their timesteps,
and end at 0.45.

It knows nothing outside its world: other words are read as bytes and change the picture at random.
One kind of object and one colour per picture. A sun at night is not in its world. It is a model for
looking at samplers, guidance and prompts, not for making pictures. It was trained for an hour and a
half of a CPU: `start=sdviz/miniature` trains it on.

Licence: the same as sdviz's; the pictures that it learned from are drawn by sdviz's own script.
"""


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def row(name: str, wanted: str, value: str) -> str:
    return f"| {name} | {wanted} | {value} |\n"


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


def measured(measures: dict[str, Any]) -> str:
    """The lines of what it must show, each with what was asked and what was measured."""
    text = "## Measures\n\nBy `python -m experiments.miniature.evaluate`, on fresh scenes.\n\n"
    text += "| | asked | measured |\n|---|---|---|\n"
    if "reconstruction" in measures:
        got = measures["reconstruction"]
        text += row(
            "autoencoder, fresh pictures",
            "32 dB",
            f"{got['psnr']:.2f} dB (mean of each: {got['mean of psnr']:.2f})",
        )
    if "adherence" in measures:
        seen = measures["adherence"]["seen"]
        text += row("object, colour", "90 %", f"{percent(seen['kind'])}, {percent(seen['colour'])}")
        text += row("all six facts at once", "70 %", percent(seen["all six"]))
    for fact, name in RISING.items():
        at = {row["cfg"]: row for row in measures.get("guidance", [])}
        if at:
            text += row(
                f"{name}, CFG 7 and 25", "rises", f"{at[7.0][fact]:.4g}, {at[25.0][fact]:.4g}"
            )
    for cfg, got in measures.get("negative", {}).items():
        text += row(
            f"pyramids that stay with negative `pyramid`, {cfg}",
            "under 20 %",
            f"{percent(got['share'])} ({got['still with one']} of {got['with a pyramid']})",
        )
    if "samplers" in measures:
        apart = measures["samplers"]["largest difference between two"]
        first, last = min(apart, key=int), max(apart, key=int)
        text += row(
            f"deterministic samplers at {last} steps, mean difference",
            "2 of 255",
            f"{apart[last]:.2f} ({apart[first]:.2f} at {first} steps)",
        )
    if "speed" in measures:
        got = measures["speed"]
        text += row("seconds an image, 20 steps, CFG 7: alone", "1.5", f"{got['alone']:.2f}")
        text += row("the same in a batch of 16", "0.6", f"{got['in a batch of 16']:.2f}")
    if "ranking" in measures:
        got = measures["ranking"]
        text += row(
            "CLIP: right caption before nine others",
            "95 %",
            percent(got["first before nine others"]),
        )
        text += row(
            "CLIP: right caption before six wrong by one fact",
            "",
            percent(got["first before six near"]),
        )
    return text


def text(record: dict[str, Any]) -> str:
    """The whole card from training.json's content."""
    from experiments.miniature.evaluate import TYPED
    from experiments.miniature.world import HELD_OUT

    held_out = ", ".join(sorted(f"{colour} {kind}s" for kind, colour in HELD_OUT))
    page = HEAD.format(
        megabytes=record["bytes"] / 1e6,
        scale=record["scaling factor"],
        **record["parameters"],
        typed="\n".join(f"{i}. `{prompt}`" for i, prompt in enumerate(TYPED, 1)),
    )
    page += "\n" + TRAINED.format(pictures=record["settings"]["pictures"], held_out=held_out)
    for name, stage in record["stages"].items():
        page += f"| {name} | {stage['minutes']} | {stage['steps']:,} | {stage['batch']} | "
        page += f"{stage['processes']} |\n"
    for note in record.get("notes", []):
        page += f"\n{note}\n"
    measures = record.get("measures", {})
    page += "\n" + measured(measures)
    if "adherence" in measures:
        page += "\n" + adherence(measures)
    page += "\nPrompts down, CFG 1, 2, 3, 5, 7, 10, 15, 25 across:\n\n![CFG](guidance.webp)\n\n"
    for name in ("guidance", "samplers"):
        if name in measures:
            page += f"![{name}]({name}_curves.png)\n\n"
    return page + LIMITS
