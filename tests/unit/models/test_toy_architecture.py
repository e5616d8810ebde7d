"""A new architecture is one file and one line: it is checked, appears in the reference and trains."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.fits import plan, write_data

import clipfold

pytestmark = pytest.mark.slow

FILE = '''"""A toy: the mean colour, a hidden layer, the classes."""

from torch import nn

from clipfold.models.network import ClipNetwork, outputs


class Toy(ClipNetwork):
    def __init__(self, classes, branches):
        super().__init__()
        self.head = nn.Sequential(nn.Linear(3, branches), nn.ReLU(), nn.Linear(branches, outputs(classes)))

    def forward(self, clips):
        return self.head(clips.mean(dim=(2, 3, 4)))


def build(settings, classes):
    return Toy(classes, settings["branches"])
'''
LINE = '    on_clips("toy", dropout=0.0, branches=Setting(8, "width of the hidden layer", low=1, memory=True)),\n'
PROGRAM = """
import json, sys
from clipfold.models.entries import plan_models
from clipfold.models.reference import reference
from clipfold.resources.estimate import Fit, estimate
from clipfold.training.on_clips import fit_here
from clipfold.training.task import Task

def complete(**settings):
    return plan_models([{"architecture": "toy"} | settings], largest_size=32, most_frames=4)[0]

errors = []
for entry in ({"branches": -3}, {"branches": "many"}, {"sampler": "random"}, {"branhces": 3}):
    try:
        complete(**entry)
    except ValueError as error:
        errors.append(str(error))
model = complete(size=32, frames=3, epochs=2, batch_size=4, workers=0, warmup=0.0)
fit_here(Task(**json.loads(sys.argv[1]) | {"module": model.module, "settings": model.settings}))
fit = Fit(module=model.module, settings=model.settings, videos=3, seconds=1, memory_mb=1000)
wide = complete(**{key: v for key, v in model.settings.items() if key != "branches"}, branches=400)
memory = [estimate(m, [fit], 3).memory_mb for m in (model, wide)]
print(json.dumps({"errors": errors, "memory": memory, "reference": reference()}))
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The package with one more file and one more line, and what the program prints."""
    folder = tmp_path_factory.mktemp("toy")
    package = shutil.copytree(Path(clipfold.__file__).parent, folder / "src/clipfold")
    (package / "models/architectures/toy.py").write_text(FILE)
    catalog = package / "models/catalog.py"
    before, start, after = catalog.read_text().partition("_ARCHITECTURES = (\n")
    catalog.write_text(before + start + LINE + after)
    arguments = plan(write_data(folder / "data"), folder, "naive_cnn")
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-c", PROGRAM, json.dumps(arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"outputs": arguments["outputs"]}


def test_its_settings_are_checked(toy):
    assert toy["errors"] == [
        "models: toy: branches is -3: use 1 or more",
        "models: toy: branches is 'many': use a value such as 8",
        "models: toy: sampler is 'random': use one of shuffled, balanced",
        "models: toy: branhces is not a setting of toy: did you mean 'branches'?",
    ]


def test_it_appears_in_the_reference(toy):
    assert "| `toy` | clips | A toy: the mean colour, a hidden layer, the classes |" in toy["reference"]
    assert "| `toy` | `branches` | 8 | 1 or more | width of the hidden layer |" in toy["reference"]


def test_it_trains(toy):
    assert json.loads(Path(toy["outputs"]["record"]).read_text())["settings"]["branches"] == 8
    assert all(Path(path).stat().st_size for path in toy["outputs"].values())


def test_its_memory_is_estimated_from_fits_of_its_width_alone(toy):
    assert toy["memory"] == [1700, 8000]
