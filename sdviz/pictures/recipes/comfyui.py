"""ComfyUI's graph: the sampler node that makes the picture, and what leads to it.

The graph is {node: {"class_type": ..., "inputs": {name: value, or [node, output]}}}. Source:
comfyanonymous/ComfyUI, nodes.py and comfy_extras/nodes_custom_sampler.py, nodes_flux.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sdviz.pictures.recipes.recipe import PictureRecipe, file_stem

_MOST_NODES = 5000
_LONGEST_WAY = 1000  # nodes from one to another
_SAMPLERS = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
_TEXTS = (  # inputs of a node that encodes a text, in the order of what they say
    *("text", "text_g", "text_l", "t5xxl", "clip_l", "clip_g", "prompt", "positive", "string"),
    *("value", "wildcard_text", "populated_text"),
)
_LOADERS = ("ckpt_name", "unet_name", "base_ckpt_name", "model_name", "model_path", "gguf_name")
_ZERO = "ConditioningZeroOut"
_PASSED = {  # nodes on the way that leave the pixels alone, or whose inputs are read by name
    *("CheckpointLoaderSimple", "CLIPTextEncode", "CLIPTextEncodeSDXL", "EmptyLatentImage"),
    *("EmptySD3LatentImage", "UNETLoader", "DualCLIPLoader", "CLIPLoader", "TripleCLIPLoader"),
    *("VAELoader", "KSamplerSelect", "BasicScheduler", "RandomNoise", "BasicGuider", "CFGGuider"),
    *("CLIPSetLastLayer", "FluxGuidance", "Reroute", "PrimitiveNode", "LoraLoader", _ZERO),
    *("LoraLoaderModelOnly", "CLIPTextEncodeFlux", "UnetLoaderGGUF", "DualCLIPLoaderGGUF"),
    *("CheckpointLoader", "LoadImage", "VAEEncode", "KarrasScheduler", "ExponentialScheduler"),
    *_SAMPLERS,
}
_STEPS = ("steps", "scheduler", "denoise")  # what a node of sigmas has


class _Node:
    """One node of a graph, with what its inputs lead to."""

    def __init__(self, graph: _Graph, name: str, content: Mapping[str, Any]) -> None:
        self.graph = graph
        self.name = name
        self.kind = str(content.get("class_type") or "")
        inputs = content.get("inputs")
        self.inputs: Mapping[str, Any] = inputs if isinstance(inputs, dict) else {}

    def to(self, key: str) -> _Node | None:
        """The node that the input `key` comes from."""
        value = self.inputs.get(key)
        return self.graph.node(value[0]) if isinstance(value, list) and value else None

    def value(self, key: str) -> Any:
        """The value of an input; behind a link that of the node it comes from, such as a number
        node's.
        """
        node: _Node | None = self
        for _ in range(_LONGEST_WAY):
            assert node is not None
            value = node.inputs.get(key)
            if not isinstance(value, list):
                return value
            node = node.to(key)
            if node is None:
                return None
            plain = [v for v in node.inputs.values() if isinstance(v, int | float | str)]
            if key not in node.inputs:
                return plain[0] if len(plain) == 1 else node.inputs.get("value")
        return None

    def behind(self) -> Iterator[_Node]:
        """All nodes that lead to this one, the nearest first, this one too."""
        seen = {self.name}
        waiting = [self]
        for node in waiting:
            yield node
            for value in node.inputs.values():
                other = self.graph.node(value[0]) if isinstance(value, list) and value else None
                if other is not None and other.name not in seen:
                    seen.add(other.name)
                    waiting.append(other)


class _Graph:
    def __init__(self, values: Mapping[str, Any]) -> None:
        self._contents = {k: v for k, v in values.items() if isinstance(v, dict)}
        self.nodes = {
            name: _Node(self, name, content)
            for name, content in self._contents.items()
            if isinstance(content.get("class_type"), str)
        }

    def node(self, name: Any) -> _Node | None:
        return self.nodes.get(str(name)) if isinstance(name, str | int) else None


def is_one(values: Mapping[str, Any]) -> bool:
    """Is this a graph with a node that samples?"""
    if not 0 < len(values) <= _MOST_NODES:
        return False
    return _final(_Graph(values)) is not None


def _samples(node: _Node) -> bool:
    """One of ComfyUI's sampler nodes, or another's that has what such a node has."""
    if node.kind in _SAMPLERS:
        return True
    return "positive" in node.inputs and bool({"seed", "noise_seed"} & node.inputs.keys())


def _final(graph: _Graph) -> _Node | None:
    """The sampler node that leads to the saved picture; of several the last before it."""
    outputs = [n for n in graph.nodes.values() if n.kind.startswith(("SaveImage", "PreviewImage"))]
    outputs.sort(key=lambda node: not node.kind.startswith("SaveImage"))
    for output in outputs:
        for node in output.behind():
            if _samples(node):
                return node
    return next(filter(_samples, graph.nodes.values()), None)


def recipe(values: Mapping[str, Any]) -> PictureRecipe:
    """The recipe of a graph's first pass. It names everything else that changes pixels."""
    out = PictureRecipe()
    graph = _Graph(values)
    sampler = _final(graph)
    assert sampler is not None, "is_one has been asked"
    later = []
    for node in _latents(sampler):
        if node is not sampler and _samples(node):
            later.append(sampler)
            sampler = node
    guider = sampler.to("guider") or sampler
    _noise(sampler, out)
    _schedule(sampler, out)
    positive = guider.to("positive") or guider.to("conditioning")
    out.text("prompt", _text(positive))
    out.text("negative", _text(guider.to("negative")))
    _guidance(guider, positive, out)
    _size(sampler, out)
    _model(sampler, guider, positive, out)
    for node in later:
        out.omit(f"{node.kind} {node.name}", "a later pass")
    _others(sampler, out)
    return out


def _latents(sampler: _Node) -> Iterator[_Node]:
    """What the latent of `sampler` comes from, node by node."""
    node: _Node | None = sampler
    for _ in range(_LONGEST_WAY):
        keys = ("latent_image", "latent", "samples", "pixels", "image", "latents")
        node = next(filter(None, (node.to(key) for key in keys)), None) if node else None
        if node is None:
            return
        yield node


def _noise(sampler: _Node, out: PictureRecipe) -> None:
    source = sampler.to("noise") or sampler
    seeds = (source.value("noise_seed"), source.value("seed"))
    out.whole("seed", next((seed for seed in seeds if seed is not None), None))
    if sampler.inputs.get("add_noise") in ("disable", False):
        out.omit("add_noise", "disable")
    start, end = sampler.inputs.get("start_at_step"), sampler.inputs.get("end_at_step")
    if isinstance(start, int) and start > 0:
        out.omit("start_at_step", start)
    steps = sampler.inputs.get("steps")
    if isinstance(end, int) and isinstance(steps, int) and end < steps:
        out.omit("end_at_step", end)


def _schedule(sampler: _Node, out: PictureRecipe) -> None:
    """Steps, sampler and schedule; the last two stand in nodes of their own for custom samplers."""
    chosen = sampler.to("sampler") or sampler
    sigmas = sampler.to("sigmas") or sampler
    name = chosen.value("sampler_name")
    for node in sigmas.behind() if sigmas is not sampler else (sampler,):
        if any(key in node.inputs for key in _STEPS):
            sigmas = node
            break
    schedule = sigmas.value("scheduler")
    if schedule is None and sigmas.kind.endswith("Scheduler"):
        schedule = sigmas.kind.removesuffix("Scheduler").lower()
    if name is None and chosen.kind.startswith("Sampler"):  # SamplerEulerAncestral and others
        name = chosen.kind.removeprefix("Sampler")
    out.sampler(name, schedule)
    out.whole("steps", sigmas.value("steps"))
    strength = sigmas.value("denoise")
    if isinstance(strength, int | float) and strength < 1:
        if any("image" in node.inputs and node.kind == "LoadImage" for node in _latents(sampler)):
            out.number("strength", strength)
            out.remarks.append("made from an image that it does not contain: name it with init=")
        else:
            out.omit("denoise", strength)


def _text(node: _Node | None) -> str:
    """The text of a conditioning: of the nearest node that has one; "" for a negative one that is
    zeroed out.
    """
    if node is None:
        return ""
    for other in node.behind():
        if other.kind == _ZERO:
            return ""
        for key in _TEXTS:
            value = other.value(key)
            if isinstance(value, str) and (value.strip() or key == "text"):
                return value
    return ""


def _guidance(guider: _Node, positive: _Node | None, out: PictureRecipe) -> None:
    """The CFG scale; of a guidance-distilled model (Flux) the scale in its conditioning."""
    out.number("cfg", guider.value("cfg"))
    for node in positive.behind() if positive else ():
        if "guidance" in node.inputs:
            true = out.settings.get("cfg", 1.0)
            out.number("cfg", node.value("guidance"))
            if true != 1:
                out.omit("cfg", true)
            return


def _size(sampler: _Node, out: PictureRecipe) -> None:
    for node in _latents(sampler):
        if {"width", "height"} <= node.inputs.keys() and "Empty" in node.kind:
            out.whole("width", node.value("width"))
            out.whole("height", node.value("height"))
            return


def _model(sampler: _Node, guider: _Node, positive: _Node | None, out: PictureRecipe) -> None:
    """The checkpoint and its LoRAs, from the sampler's side back; CLIP skip, from the text's."""
    loras: list[tuple[str, Any]] = []
    first = guider.to("model") or sampler.to("model")
    for node in first.behind() if first else ():
        if isinstance(node.inputs.get("lora_name"), str):
            name = file_stem(node.inputs["lora_name"])
            scale = node.value("strength_model")
            loras.insert(0, (name, scale))
            text = node.value("strength_clip")
            if isinstance(text, int | float) and text != scale:
                out.omit(f"{name} at {text} in the text encoder")
        names = [node.inputs[key] for key in _LOADERS if isinstance(node.inputs.get(key), str)]
        if names and "model" not in out.settings and "lora_name" not in node.inputs:
            out.model(names[0])
    out.loras(loras)
    for node in positive.behind() if positive else ():
        layer = node.inputs.get("stop_at_clip_layer")
        if isinstance(layer, int) and layer < 0:
            out.settings["clip_skip"] = -layer  # -2 is the last but one
            return


def _others(sampler: _Node, out: PictureRecipe) -> None:
    """The nodes before the sampler that do what sdviz does not: ControlNet, regions, patches."""
    kinds = dict.fromkeys(
        node.kind
        for node in sampler.behind()
        if node.kind not in _PASSED
        and any(isinstance(value, list) for value in node.inputs.values())
    )
    for kind in kinds:
        out.omit(kind)
