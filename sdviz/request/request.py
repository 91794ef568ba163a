"""From plain configuration values to what will be computed: everything is read, checked and planned
here.

Every fault is collected, so that one run reports all of them; nothing here imports torch or loads a
model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz.errors import ConfigError, ConfigErrors, SdvizError
from sdviz.models.addons import checks
from sdviz.models.hardware import device
from sdviz.plan import loras, reference
from sdviz.plan.cells import CHECKER, GUIDANCE, SPACING, Axis, Plan
from sdviz.plan.config import Config, keys_of
from sdviz.plan.planning import make_axes, make_plan
from sdviz.plan.rules import matches
from sdviz.plan.settings import SETTINGS
from sdviz.plan.values import draw_seeds, plain, several_seeds
from sdviz.request import init_images
from sdviz.request.checks import faults, remarks
from sdviz.request.checks.asked import Asked, Planned
from sdviz.request.checks.recipes import counted
from sdviz.request.checks.settings import search_text
from sdviz.request.command_line import escape_interpolation
from sdviz.request.draft import Draft, read_draft
from sdviz.request.from_picture import with_picture
from sdviz.request.naming import check_name, made_name, signature

if TYPE_CHECKING:
    from sdviz.models import ModelInfo

# (outputs, name) -> signature and drawn seeds of an earlier archive of that name, ("", []) if there
# is none
Recorded = Callable[[Path, str], "tuple[str, list[int]]"]


@dataclass(frozen=True)
class Request:
    """A sweep that can be run: as far as can be known without the model, nothing is wrong."""

    config: Config  # device and dtype settled, name made
    plan: Plan
    record: dict[str, Any]  # the configuration as the archive keeps it, to be run again by Hydra
    warnings: list[str]


def read_request(
    raw_config: Mapping[str, Any],
    *,
    recorded: Recorded,
    draw: Callable[[], int],
    model_folders: Sequence[Path],
    preset: str = "",
    also: Callable[[Config], None] = lambda config: None,
) -> Request:
    """Read, check and plan. `raw_config` is the composed configuration as plain values.

    `draw` returns a seed for -1, `also` is an additional check, `preset` a word for the name.
    Raises ConfigErrors with all errors.
    """
    of_picture: list[str] = []
    if raw_config.get("from"):
        raw_config = with_picture(raw_config, model_folders, of_picture)
    draft = read_draft(raw_config, model_folders)
    config, signed = _checked(draft, preset, also)
    asked = dict(draft.values)
    known = _known_seeds(draft, config, signed, recorded)
    seeds, drawn = draw_seeds(asked["seed"], known, draw)
    count = config.samples * config.rounds
    draft.values["seed"] = several_seeds(seeds, count)
    for key in (key for group in draft.zipped if "seed" in group for key in group):
        if key != "seed":  # what goes with a seed goes with those that follow it
            draft.values[key] = [value for value in draft.values[key] for _ in range(count)]
    if config.fixed_noise and asked["noise_seed"] == [None]:
        draft.values["noise_seed"] = [seeds[0]]
    plan = reference.referenced(_plan(draft, config), config.reference)
    record = _record(draft, config, asked, drawn, signed)
    planned = Planned(
        config=config,
        plan=plan,
        infos=draft.infos,
        seeds=seeds,
        all_seeds=draft.values["seed"],
    )
    return Request(config, plan, record, [*of_picture, *remarks(planned)])


def _checked(draft: Draft, preset: str, also: Callable[[Config], None]) -> tuple[Config, str]:
    """The configuration with final device, dtype, init images and name; and its signature.

    Raises ConfigErrors with all errors of the draft.
    """
    config = _settled(draft)
    with draft.collecting():
        also(config)
    asked = Asked(
        config=config,
        values=draft.values,
        zipped=draft.zipped,
        rules=draft.rules,
        infos=draft.infos,
        defaults=_defaults(draft, config),
    )
    axes: tuple[Axis, ...] = ()
    with draft.collecting():
        axes = make_axes(draft.values, draft.zipped)
        if draft.grid_is_known:
            asked = replace(asked, recipes=counted(asked))
    draft.errors.extend(faults(asked))
    rules = {"zip": draft.zipped, "exclude": draft.rule_texts}
    signed = signature(config, draft.values, rules)
    name = config.name or made_name([axis.name for axis in axes], signed, preset=preset)
    with draft.collecting():
        config = replace(config, name=check_name(name))
    draft.raise_errors()
    return config, signed


def _settled(draft: Draft) -> Config:
    """The configuration with outputs, device, dtype and init images as they are on this machine."""
    config = replace(draft.config, outputs=str(Path(draft.config.outputs).expanduser()))
    with draft.collecting():
        has_flow = any(info.is_flow for info in draft.infos.values())
        where, dtype = device.resolve(config, has_flow=has_flow)
        config = replace(config, device=where, dtype=dtype)
    with draft.collecting():
        of_models = [spec.defaults.get("init") for spec in config.models.values()]
        inits = init_images.read([*draft.values["init"], *of_models], Path(config.outputs))
        config = replace(config, inits=inits)
    return config


def _known_seeds(draft: Draft, config: Config, signed: str, recorded: Recorded) -> list[int]:
    """Earlier seeds in place of -1: of the configuration, or of an archive of the same command."""
    drawn = draft.raw_config.get("drawn_seeds") or []
    if drawn or not config.reuse:
        return [int(seed) for seed in drawn]
    earlier, seeds = recorded(Path(config.outputs), config.name)
    return seeds if earlier == signed else []


def _plan(draft: Draft, config: Config) -> Plan:
    axes = make_axes(draft.values, draft.zipped)
    keys = {key for axis in axes for key in axis.keys}
    plan = make_plan(
        axes,
        {name: values[0] for name, values in draft.values.items() if name not in keys},
        defaults=_defaults(draft, config),
        identities={name: _identity(info, config) for name, info in draft.infos.items()},
        dtype=config.dtype,
        excluded=(lambda settings: matches(draft.rules, settings)) if draft.rules else None,
        contents=_contents(draft, config),
        search=search_text(draft.values),
    )
    _check_scales(plan)
    if not plan.cells:
        raise ConfigError(
            f"exclude: drops all {plan.excluded} combinations; nothing is left to compute",
            key="exclude",
        )
    distilled = (name for name, info in draft.infos.items() if info.guidance.is_distilled)
    return replace(plan, distilled=frozenset(distilled))


def _defaults(draft: Draft, config: Config) -> dict[str, dict[str, Any]]:
    """{model: default values of settings}. A model that could not be read has no defaults."""
    of_config = {
        str(name): dict(config.models[name].defaults) if name in config.models else {}
        for name in draft.values["model"]
    }
    infos = draft.infos
    return {
        name: {**(infos[name].defaults if name in infos else {}), **values}
        for name, values in of_config.items()
    }


def _check_scales(plan: Plan) -> None:
    """ConfigErrors where cells have not as many scales as LoRAs."""
    errors: list[SdvizError] = []
    for pair in dict.fromkeys((cell.recipe.lora, cell.recipe.lora_scale) for cell in plan.cells):
        try:
            loras.pairs(*pair)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ConfigErrors(errors)


def _identity(info: ModelInfo, config: Config) -> str:
    """Of a model as this sweep runs it: a VAE in tiles leaves seams."""
    tiled = {"vae_tiling": True} if config.engine.vae_tiling else {}
    return replace(info, marks={**info.marks, **tiled}).identity


def _contents(draft: Draft, config: Config) -> dict[str, str]:
    """The hash of what each setting that names a file names; and sdviz.plan's GUIDANCE and SPACING
    where they make a difference.
    """
    pixels = {name: image.pixels for name, image in config.inits.items()}
    asked = [(key, name) for key in checks.FILES for name in draft.values[key]]
    specs = draft.config.models.values()
    asked += [(key, spec.defaults.get(key)) for key in checks.FILES for spec in specs]
    files = {name: checks.content(key, name) for key, name in asked if name}
    return {**pixels, **files, **_checkers(draft), **_manners(draft)}


def _manners(draft: Draft) -> dict[str, str]:
    """How the models take settings, if that differs from older archives."""
    manners = {}
    for name, info in draft.infos.items():
        defaults = draft.config.models[name].defaults
        scales = [*draft.values["cfg"], defaults.get("cfg")]
        if info.is_batched and any(scale is not None and scale < 1 for scale in scales):
            manners[GUIDANCE.format(name)] = "off at a CFG scale of 1 and below"
        samplers = (*draft.values["sampler"], defaults.get("sampler"))
        if info.timestep_spacing != "leading" and "DDIM" in samplers:
            manners[SPACING.format(name)] = info.timestep_spacing
    return manners


def _checkers(draft: Draft) -> dict[str, str]:
    """The hash of each model's safety checker, where there is use for it."""
    specs = draft.config.models.values()
    asked = [*draft.values["safety"], *(spec.defaults.get("safety") for spec in specs)]
    if all(value in (None, "none") for value in asked):
        return {}
    return {CHECKER.format(spec.name): checks.checker(spec) for spec in specs}


def _record(
    draft: Draft, config: Config, asked: dict[str, list[Any]], drawn: list[int], signed: str
) -> dict[str, Any]:
    """The configuration as the archive keeps it: complete and plain, in Hydra's syntax, without the
    password.
    """
    held = {**asked, "model": list(config.models)}
    settings = {SETTINGS[name].root: _escaped(plain(name, held[name])) for name in held}
    kept = asdict(config)
    del kept["visdom"]["password"]
    model = draft.raw_config.get("model")
    return {
        "defaults": ["sweep", "_self_"],
        **settings,
        "model": dict(model) if isinstance(model, Mapping) else {},
        "order": [name for name, values in asked.items() if len(values) > 1],
        "zip": draft.zipped,
        "exclude": draft.rule_texts or None,
        "drawn_seeds": drawn,
        **{name: kept[name] for name in keys_of(Config)},
        "signature": signed,
    }


def _escaped(value: Any) -> Any:
    """`${...}` in a prompt made no interpolation; strings in a list stay lists, so nothing is
    parsed again.
    """
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return escape_interpolation(value) if isinstance(value, str) else value
