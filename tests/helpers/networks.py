"""Build every network on clips with settings small enough for a test."""

import importlib

import torch

from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.entries import plan_models

# Settings of networks that are too large for a test at their defaults.
TINY = {
    "naive_cnn": {"width": 4},
    "x3d": {"variant": "xs"},
    "vit_gru": {"hidden": 16, "layers": 2},
    "cnn_lstm": {"hidden": 16, "layers": 2},
    "variable_ar_cnn": {"width": 4},
}
NETWORKS = [name for name, known in ARCHITECTURES.items() if known.input == "clips"]


def build(name, classes=2, **settings):
    entry = {"architecture": name, "frames": 4, "size": 32, "dropout": 0.0} | TINY.get(name, {}) | settings
    (model,) = plan_models([entry], largest_size=224, most_frames=16)
    torch.manual_seed(0)
    return importlib.import_module(model.module).build(model.settings, classes)
