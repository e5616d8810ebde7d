"""Make a tiny data set and fit models on it, for the tests of training."""

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from safetensors.torch import load_file

from clipfold.clips.augment import Copies, draw_shard, store_copies
from clipfold.models.catalog import ARCHITECTURES
from clipfold.settings import AugmentSettings
from clipfold.storage.files import write_table
from clipfold.training.on_clips import fit_here
from clipfold.training.task import Task

SIZE, FRAMES = 32, 4
SMALL = {"size": SIZE, "frames": 3, "epochs": 2, "batch_size": 4, "workers": 0, "warmup": 0.0}
TINY = {
    "naive_cnn": SMALL | {"width": 4},
    "vit_gru": SMALL | {"hidden": 16, "learning_rate": 1e-4},
    "variable_ar_cnn": SMALL | {"width": 4},
}


def settings_of(architecture, **changes):
    settings = dict(ARCHITECTURES[architecture].settings) | TINY[architecture]
    assert set(changes) <= set(settings), "a setting that the architecture does not have"
    return settings | changes


def write_data(folder, train=9, val=5, test=3, copies=1, classes=2):
    """Write clips whose brightness tells the class, in two shards; returns the data and splits of a fit."""
    random = np.random.default_rng(1)
    of_each = ["train"] * train + ["val"] * val + ["test"] * test
    ids = [f"{split}{i}" for i, split in enumerate(of_each)]
    labels = [f"c{i % classes}" for i in range(len(ids))]
    clips = random.integers(0, 150, (len(ids), FRAMES, SIZE, SIZE, 3), np.uint8)
    clips += (np.arange(len(ids)) % classes * 80 // (classes - 1)).astype(np.uint8)[:, None, None, None, None]
    clips[:, :, :8] = clips[:, :, 24:] = 0
    data = {"clips": [], "index": [], "augmented": [], "augmented_index": []}
    for shard in range(2):
        mine = range(shard, len(ids), 2)
        index = [{"id": ids[i], "row": row, "clips_box": [8, 0, 16, SIZE]} for row, i in enumerate(mine)]
        index.append({"id": f"lost{shard}", "row": None, "clips_box": None})
        made = [{"id": ids[i], "copy": c, "row": r * copies + c} for r, i in enumerate(mine) for c in range(copies)]
        shown = [np.roll(clips[i], 1 + c, axis=2) for i in mine for c in range(copies)]
        for name, array in (("clips", clips[mine]), ("augmented", np.array(shown).reshape(-1, *clips.shape[1:]))):
            path = Path(folder, f"{shard}", f"{name}.npy")
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
            data[name].append(str(path))
        write_table(path.parent / "index.parquet", pa.Table.from_pylist(index))
        data["index"].append(str(path.parent / "index.parquet"))
        if copies:
            write_table(path.parent / "copies.parquet", pa.Table.from_pylist(made))
            data["augmented_index"].append(str(path.parent / "copies.parquet"))
    if not copies:
        data["augmented"] = []
    rows = [
        {"id": i, "label": c, "group": i, "fold": 0, "split": r} for i, c, r in zip(ids, labels, of_each, strict=True)
    ]
    write_table(Path(folder, "splits.parquet"), pa.Table.from_pylist(rows))
    return {"data": data, "splits": str(Path(folder, "splits.parquet"))}


def with_copies(data, folder, clips=1):
    """Draw copies anew, of videos of some clips.

    Returns:
        The data of a fit that reads them stored, and of one that replays them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {kind: data["data"][kind] for kind in ("clips", "index")} | {"augmented_index": []}
    stored = []
    for number, (array, index) in enumerate(zip(files["clips"], files["index"], strict=True)):
        drawn, copies = folder / f"{number}.parquet", folder / f"{number}.npy"
        draw_shard(index, drawn, **AugmentSettings().drawn, seed=7)
        store_copies(Copies(array, index, drawn, SIZE, clips), copies)
        files["augmented_index"].append(str(drawn))
        stored.append(str(copies))
    return [data | {"data": files | each} for each in ({"augmented": stored}, {"decoded": files["clips"]})]


def plan(data, folder, architecture, **changes):
    """Make the arguments of a fit, plain values only."""
    folder = Path(folder)
    outputs = {"model": "model.safetensors", "history": "history.csv", "predictions": "p.parquet", "record": "fit.json"}
    return {
        "module": ARCHITECTURES[architecture].module,
        "settings": settings_of(architecture, **changes),
        **data,
        "fold": 0,
        "outputs": {name: str(folder / file) for name, file in outputs.items()},
        "seed": 7,
        "threads": 1,
        "scratch": str(folder / "scratch"),
        "stored_size": SIZE,
    }


class Fitted:
    """The outputs of a fit."""

    def __init__(self, arguments):
        outputs = arguments["outputs"]
        self.bytes = Path(outputs["model"]).read_bytes()
        self.weights = load_file(outputs["model"])
        self.predictions = pd.read_parquet(outputs["predictions"])
        self.history = pd.read_csv(outputs["history"])
        self.record = json.loads(Path(outputs["record"]).read_text())

    def assert_same(self, other):
        assert self.bytes == other.bytes
        pd.testing.assert_frame_equal(self.predictions, other.predictions, check_exact=True)
        pd.testing.assert_frame_equal(self.history.drop(columns="seconds"), other.history.drop(columns="seconds"))

    def assert_close(self, other, tolerance=1e-5):
        torch.testing.assert_close(self.weights, other.weights, rtol=0, atol=tolerance)
        pd.testing.assert_frame_equal(self.predictions, other.predictions, rtol=0, atol=tolerance)


def fitted(data, folder, architecture, **changes):
    arguments = plan(data, folder, architecture, **changes)
    fit_here(Task(**arguments))
    return Fitted(arguments)


def with_network(monkeypatch, architecture, change):
    """Call `change` with the network of each fit when it is built."""
    module = importlib.import_module(ARCHITECTURES[architecture].module)
    build = module.build

    def changed(settings, classes):
        network = build(settings, classes)
        change(network)
        return network

    monkeypatch.setattr(module, "build", changed)


def at_forward(network, number, act):
    """Call `act` before the `number`-th forward pass of the training."""
    seen = iter(range(10**6))

    def count(net, inputs):
        if net.training and next(seen) == number:
            act()

    network.register_forward_pre_hook(count)
