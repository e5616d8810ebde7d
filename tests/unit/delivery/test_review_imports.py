"""A bundle is open soon: what only other kinds of models need is not loaded."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "others"),
    [("clipfold.models.load", "skops torch"), ("clipfold.models.clip_model", "skops torchvision torch._dynamo")],
)
def test_what_only_other_models_need_is_not_loaded(module, others):
    code = f"import sys, {module}; print(*({{*{others.split()}}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"
