"""Build every network on clips with settings small enough for a test."""

import importlib

import torch

from clipfold.models.catalog import ARCHITECTURES, plan_models

TINY = {
    "naive_cnn": {"width": 4},
    "slowfast": {},
    "x3d": {"variant": "xs"},
    "vit_gru": {"hidden": 16, "layers": 2},
    "vit_transformer": {},
    "cnn_lstm": {"hidden": 16, "layers": 2},
    "r3d_18": {},
    "mvit_v2_s": {},
    "swin3d_t": {},
    "variable_ar_cnn": {"width": 4},
}
NETWORKS = [name for name in ARCHITECTURES if name in TINY]


def build(name, classes=2, **settings):
    entry = {"architecture": name, "frames": 4, "size": 32, "dropout": 0.0} | TINY[name] | settings
    (model,) = plan_models([entry], largest_size=224, most_frames=16)
    torch.manual_seed(0)
    return importlib.import_module(model.module).build(model.settings, classes)
