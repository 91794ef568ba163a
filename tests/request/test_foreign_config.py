"""Configuration files of others: read for their values, and for nothing that Hydra would do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sdviz.archive.writing.config_yaml import dump
from sdviz.commands.sweep import command
from sdviz.errors import ConfigError
from sdviz.request.foreign_config import check_foreign

HEAD = "defaults: [sweep, _self_]\n"
HOSTILE = {
    "callbacks": "hydra: {callbacks: {x: {_target_: os.mkdir, path: MADE}}}",
    "run.dir": "hydra: {run: {dir: MADE}}",
    "output_subdir": "hydra: {output_subdir: MADE}",
    "job_logging": "hydra: {job_logging: {root: {handlers: [f]},"
    " handlers: {f: {class: logging.FileHandler, filename: MADE}}}}",
    "hydra_logging": "hydra: {hydra_logging: {formatters: {x: {(): os.mkdir, path: MADE}}}}",
    "launcher": "hydra: {launcher: {_target_: os.mkdir}}",
    "sweeper": "hydra: {sweeper: {_target_: os.mkdir}}",
    "job": "hydra: {job: {env_set: {PATH: /evil}, chdir: true}}",
    "env": "hydra: {env: {x: 1}}",
    "a choice": None,
}


def foreign(tmp_path: Path, body: str, name: str = "config.yaml") -> list[str]:
    folder = tmp_path / "theirs"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(body.replace("MADE", str(tmp_path / "made")))
    return ["--config-dir", str(folder), "--config-name", "config"]


@pytest.mark.parametrize("what", HOSTILE)
def test_what_hydra_does_is_not_for_a_file_to_say(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = HOSTILE[what]
    if body is None:
        foreign(tmp_path, "_target_: os.mkdir", "hydra/launcher/evil.yaml")
        body = "defaults: [sweep, _self_, {override hydra/launcher: evil}]\n#"
    flags = foreign(tmp_path, (HEAD if not body.startswith("defaults") else "") + body)
    monkeypatch.setattr("sys.argv", ["sweep", *flags, "dry_run=true", "visdom=off"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2 and "hydra." in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs"]


def test_the_same_on_the_command_line_is_the_users_word(tmp_path: Path) -> None:
    flags = foreign(tmp_path, f"{HEAD}cfg: 3")
    check_foreign([*flags, "hydra.job.chdir=false", "hydra.verbose=true", "cfg=7"])
    check_foreign(["cfg=7"])


def test_a_group_of_theirs_cannot_say_it_either(tmp_path: Path) -> None:
    body = "# @package _global_\nhydra: {run: {dir: MADE}}"
    flags = foreign(tmp_path, body, "experiment/evil.yaml")[:2]
    with pytest.raises(ConfigError, match=r"hydra\.run"):
        check_foreign([*flags, "experiment=evil"])


def test_a_path_relative_to_the_program_is_refused() -> None:
    with pytest.raises(ConfigError, match="--config-dir"):
        check_foreign(["--config-path", "../evil"])


@pytest.mark.parametrize(
    "text", ["1e5", "1E5", "1_000", "12e03", "inf", "-.inf", "nan", "1:20", "0x1f", "0o17", "yes",
             "null", "~", "", "1.", ".5", "+1", "2026-01-31", "=", "<<", "a: b", "#x", "'", '"'],
)  # fmt: skip
def test_every_text_of_config_yaml_is_read_back_as_text(text: str) -> None:
    from omegaconf import OmegaConf

    written = dump({"prompt": [text, [text]], "cfg": [7.5, 1e-05, 3, True, None]})
    for read in (yaml.safe_load(written), OmegaConf.to_container(OmegaConf.create(written))):
        assert json.dumps(read) == json.dumps(
            {"prompt": [text, [text]], "cfg": [7.5, 1e-05, 3, True, None]}
        )
