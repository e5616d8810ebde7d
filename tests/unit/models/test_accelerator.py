"""The choice of the device: where PyTorch finds no GPU, the answers of a machine that has one are pretended."""

import ctypes

import pytest
import torch

from clipfold.models import accelerator
from clipfold.models.accelerator import allow_randomness, choose_device, runs_on, usable_device, why_no_gpu
from clipfold.resources.gpus import Gpu

SETTINGS = {"deterministic": True, "tf32": True}


@pytest.fixture(autouse=True)
def restored():
    yield
    torch.use_deterministic_algorithms(False)


def missing(name):
    raise OSError(f"{name}: cannot open shared object file")


@pytest.mark.parametrize(
    ("gpus", "cuda", "driver", "expected"),
    [
        ([], "13.2", ctypes.CDLL, "no NVIDIA GPU is visible here"),
        ([Gpu("0", "3")], None, ctypes.CDLL, "was built without CUDA: install a build with it"),
        ([Gpu("0", "3")], "13.2", missing, "libcuda.so.1 is missing"),
        ([Gpu("0", "3")], "13.2", lambda name: None, "needs a driver for CUDA 13.2, and this GPU's is older"),
    ],
)
def test_why_there_is_no_gpu_is_said_with_a_remedy(gpus, cuda, driver, expected, monkeypatch, caplog):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(accelerator, "visible_gpus", lambda: gpus)
    monkeypatch.setattr(ctypes, "CDLL", driver)
    assert expected in why_no_gpu()
    assert choose_device(SETTINGS | {"device": "auto"}, 1) == usable_device() == torch.device("cpu")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert expected in caplog.text
    with pytest.raises(ValueError, match="device is 'cuda', but "):
        choose_device(SETTINGS | {"device": "cuda"}, 1)


def test_a_gpu_that_pytorch_has_no_code_for_is_not_used(monkeypatch):
    """It would be found, and fail at the first operation."""
    for name, answer in {
        "is_available": True,
        "get_device_capability": (7, 0),
        "get_arch_list": ["sm_75", "sm_80", "sm_90"],
        "get_device_name": "Tesla V100",
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    assert "has no code for Tesla V100 (its architecture is sm_70, and PyTorch's sm_75, sm_80, sm_90)" in why_no_gpu()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 6))
    assert why_no_gpu() == ""


@pytest.mark.parametrize(
    ("capability", "built", "expected"),
    [
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a"], False),
        ((10, 3), ["sm_100"], True),
        ((8, 0), ["sm_86"], False),
        ((12, 0), ["sm_90"], False),
        ((12, 0), ["compute_90"], True),
        ((8, 0), ["unknown"], False),
    ],
)
def test_which_gpus_run_what_was_built(capability, built, expected):
    assert runs_on(capability, built) is expected


def test_an_operation_without_a_deterministic_variant_leads_to_warnings_instead_of_errors(caplog):
    torch.use_deterministic_algorithms(True)
    with pytest.raises(RuntimeError) as error:
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))  # one of few on the CPU
    assert allow_randomness(RuntimeError("shape")) == allow_randomness(ValueError(str(error.value))) == ""
    assert allow_randomness(error.value) == "put_"
    assert "put_ has no deterministic variant" in caplog.text
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    assert allow_randomness(error.value) == "", "warned already"
