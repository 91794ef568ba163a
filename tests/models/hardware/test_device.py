"""Device and number format are known before torch is."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from sdviz.errors import ConfigError
from sdviz.models.hardware import device
from sdviz.plan.config import Config


def test_a_cpu_computes_in_float32_and_a_gpu_in_half(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.resolve(Config(device="cpu")) == ("cpu", "float32")
    monkeypatch.setattr(device, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.resolve(Config()) == ("cuda", "float16")
    assert device.resolve(Config(), has_flow=True) == ("cuda", "bfloat16")
    assert device.resolve(Config(device="cpu"), has_flow=True) == ("cpu", "float32")


def test_what_is_asked_for_is_kept() -> None:
    assert device.resolve(Config(device="cpu", dtype="bfloat16")) == ("cpu", "bfloat16")


def test_a_driver_without_a_usable_gpu_is_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device.resolve(Config()) == ("cpu", "float32")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"device": "gpu"}, "device=gpu: not one of auto, cpu"),
        ({"device": "cuda:99"}, "device=cuda:99: torch .* sees none"),
        ({"device": "cpu", "dtype": "half"}, "dtype=half: not one of auto, float32"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        device.resolve(Config(**settings))  # type: ignore[arg-type]


def test_the_archive_is_told_what_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.described("cpu") == {"device": "cpu"}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA A100")
    assert device.described("cuda") == {"device": "cuda", "gpu": "NVIDIA A100"}


def test_on_a_machine_without_a_gpu_no_torch_is_needed() -> None:
    code = (
        "import sys; from sdviz.plan.config import Config;"
        "from sdviz.models.hardware import device;"
        "device._DRIVERS = (); device.resolve(Config());"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
