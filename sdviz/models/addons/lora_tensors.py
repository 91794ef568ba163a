"""What a LoRA file holds: pairs of matrices, their alphas, and what else there may be. No torch.

A layer has a pair, down (rank, inputs) and up (outputs, rank), and adds alpha / rank * up @ down.
diffusers knows one alpha for a whole model, so each layer's is multiplied into its down here. An
alpha is a tensor beside the pair (kohya), a number in adapter_config.json (PEFT), or one in the
file's metadata (diffusers); without any it is the rank.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.files import tensors
from sdviz.models.files.refusal import read_object

EMBEDDINGS = "bundle_emb."  # textual inversions that kohya's trainer has put into the file
_METADATA = "lora_adapter_metadata"  # diffusers' key in a safetensors header
_CONFIG = "adapter_config.json"  # PEFT's, beside the weights
_HALVES = r"(?:_A|_B|_down|_up|\d?\.down|\d?\.up|_linear_layer\.down|_linear_layer\.up)"
_HALF = re.compile(rf"[._]lora({_HALVES})(?:\.default)?\.(?:weight|bias)$")
_DOWNS = ("_A", "down")
_ALPHAS = (".alpha", ".lora.alpha", "_lora.alpha")
# How files differ that are called LoRAs and add something else to a layer.
_FOREIGN = {
    r"hada_": "a LoHa",
    r"lokr_": "a LoKr",
    r"\.lora_mid\b": "a LoCon with a core (lora_mid)",
    r"dora_scale|lora_magnitude_vector": "a DoRA",
    r"\b(oft_|boft_)": "an OFT",
    r"\.[ab][12]\.weight$": "a GLoRA",
    r"\.on_input$": "an (IA)3",
    r"\.(diff|diff_b|set_weight|w_norm|b_norm)$": "a file of full weights besides pairs",
    r"\b(query|key)_norm\.scale$": "a Control LoRA, which needs a picture besides the prompt",
}


def is_down(key: str) -> bool:
    half = _HALF.search(key)
    return half is not None and half[1].endswith(_DOWNS)


def is_up(key: str) -> bool:
    half = _HALF.search(key)
    return half is not None and not half[1].endswith(_DOWNS)


def is_half(key: str) -> bool:
    return _HALF.search(key) is not None


def layer_of(key: str) -> str:
    """The layer that a half, or an alpha, is for, by the file's own name."""
    if half := _HALF.search(key):
        return key[: half.start()]
    return re.sub(r"([._]lora)?\.alpha$", "", key)


def is_alpha(key: str) -> bool:
    return key.endswith(_ALPHAS)


def check(name: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """ModelError unless LoRA `name` is made of whole pairs and alphas, and embeddings perhaps."""
    for sign, what in _FOREIGN.items():
        if key := next((key for key in shapes if re.search(sign, key)), ""):
            raise ModelError(
                f"lora={name}: {what} ({key}), which sdviz cannot apply; merge it into a "
                "checkpoint, or use a plain LoRA",
                key="lora",
            )
    if not any(map(is_half, shapes)):
        raise ModelError(f"lora={name}: contains no LoRA tensors; name a LoRA file", key="lora")
    for key in shapes:
        if not (is_half(key) or is_alpha(key) or key.startswith(EMBEDDINGS)):
            raise ModelError(
                f"lora={name}: has {key}, which sdviz does not know as part of a LoRA; use another",
                key="lora",
            )
    downs, ups = ({layer_of(key) for key in shapes if test(key)} for test in (is_down, is_up))
    if torn := sorted(downs ^ ups):
        raise ModelError(
            f"lora={name}: has only one half of {torn[0]}; download it again", key="lora"
        )


def embeddings(names: Iterable[str]) -> list[str]:
    """The words of the textual inversions that a file brings along."""
    found = (name.removeprefix(EMBEDDINGS) for name in names if name.startswith(EMBEDDINGS))
    return sorted({name.partition(".")[0] for name in found})


def factors(
    shapes: Mapping[str, tuple[int, ...]], alphas: Mapping[str, float], config: Mapping[str, Any]
) -> dict[str, float]:
    """By the name of each down, what it is multiplied by.

    `alphas` are the file's, by their names, and `config` is as from `adapter_config`.
    """
    by_layer = {layer_of(key): alpha for key, alpha in alphas.items()}
    found = {}
    for key, shape in shapes.items():
        if is_down(key) and key.endswith("weight"):
            alpha = by_layer.get(layer_of(key))
            found[key] = alpha / shape[0] if alpha is not None else _configured(key, shape, config)
    return found


def _configured(key: str, shape: tuple[int, ...], config: Mapping[str, Any]) -> float:
    """alpha / rank, or alpha / sqrt(rank), as the training program has written it down."""
    part = next((part for part in config if part and key.startswith(f"{part}.")), "")
    own = config.get(part)
    if not isinstance(own, dict) or not isinstance(own.get("lora_alpha"), (int, float)):
        return 1.0
    alpha = own["lora_alpha"]
    patterns = own.get("alpha_pattern")
    for pattern, other in (patterns if isinstance(patterns, dict) else {}).items():
        if re.search(rf"(^|\.){re.escape(str(pattern).lstrip('^'))}$", layer_of(key)):
            alpha = other
    rank = float(shape[0])
    return float(alpha) / (rank**0.5 if own.get("use_rslora") else rank)


def adapter_config(path: Path) -> dict[str, Any]:
    """What was written down of the alphas beside the tensors, by component; "" for all; {} if
    nothing was.
    """
    beside = path.with_name(_CONFIG)
    if path.name == "adapter_model.safetensors" and beside.is_file():
        own = read_object(beside)
        return {"": own} if own else {}
    found: dict[str, dict[str, Any]] = {}
    for key, value in _object(tensors.metadata(path).get(_METADATA, "")).items():
        part, _, entry = key.partition(".")
        found.setdefault(part, {})[entry] = value
    return found


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text) if text else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def mark(path: Path) -> str:
    """What the content of a LoRA's file does not tell of how it acts; "" for most.

    sdviz once took one alpha for all layers: pictures by files whose layers have several, and by
    those whose alphas stand elsewhere, have keys of their own since.
    """
    if path.suffix != ".safetensors":
        return ""
    shapes = tensors.shapes(path, key="lora")
    alphas = tensors.scalars(path, [key for key in shapes if is_alpha(key)])
    ranks = {shapes[key][:1] for key in shapes if is_down(key)}
    if not alphas:
        found = factors(shapes, {}, adapter_config(path))
        return json.dumps(sorted(found.items())) if set(found.values()) - {1.0} else ""
    layers = {layer_of(key) for key in shapes if is_down(key)}
    is_uniform = len(ranks) == 1 and len(set(alphas.values())) == 1 and len(alphas) == len(layers)
    return "" if is_uniform else "an alpha for each layer"
