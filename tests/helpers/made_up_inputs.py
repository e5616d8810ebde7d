"""Made-up training and new videos, as tables of inputs and scores: recordings, and clips of each that are alike."""

import numpy as np
import pandas as pd

from clipfold.delivery.distance import Reference

CLASSES = ["no", "yes"]


def videos(random, groups, size=1, alike=0.8):
    """Make a table of `size` videos of each of `groups` recordings; `alike` is the variance between recordings."""
    count, names = groups * size, [f"g{i:03}" for i in range(groups)]

    def normal():
        alone = 0 if size == 1 else 1 - alike
        between, within = random.normal(size=groups).repeat(size), random.normal(size=count)
        return between * np.sqrt(1 - alone) + within * np.sqrt(alone)

    def one_of(*values):
        return random.choice(values, groups).repeat(size).astype(float)

    yes = 1 / (1 + np.exp(-2 * normal()))
    inputs = {
        "duration_s": 5 * np.exp(normal()),
        "fps": one_of(25, 30),
        "width": np.full(count, 640.0),
        "height": np.full(count, 360.0),
        "bits_per_pixel": 0.1 * np.exp(0.5 * normal()),
        "brightness": 120 + 20 * normal(),
        "contrast": 50 + 10 * normal(),
        "saturation": 40 + 10 * normal(),
        "sharpness": 200 * np.exp(normal()),
        "motion": 5 * np.exp(normal()),
        "dark_share": np.clip(0.1 + 0.1 * normal(), 0, 1),
        "audio": one_of(0, 1),
    }
    table = {"id": [f"{g}/{i}.mp4" for g in names for i in range(size)], "group": np.repeat(names, size)}
    table |= {"label": np.where(yes > 0.5, "yes", "no"), "status": "ok", "p_no": 1 - yes, "p_yes": yes}
    return pd.DataFrame(table | {f"input.{name}": values for name, values in inputs.items()})


def with_distances(training, new):
    """Add the column `distance` to both tables."""
    reference = Reference(training.to_dict("list"))
    values = np.array([new.get(f"input.{name}", pd.Series(np.nan, new.index)) for name in reference.names], float).T
    return training.assign(distance=reference.own), new.assign(distance=reference.distances(values))


def pair(seed, training=(100, 1), new=(100, 1), alike=0.8):
    """Make training and new videos of one distribution: (recordings, clips of each) on either side."""
    random = np.random.default_rng(seed)
    return videos(random, *training, alike), videos(random, *new, alike)
