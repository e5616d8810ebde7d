"""Train the plain CNN by the simplest of loops, to compare the engine with."""

import math

import numpy as np
import torch
from helpers.fits import SIZE
from torch.nn.functional import cross_entropy

from clipfold.clips.reader import Clips
from clipfold.models.architectures import naive_cnn
from clipfold.models.inputs import as_input, forward
from clipfold.models.network import class_logits
from clipfold.storage.files import read_table
from clipfold.training.optimisation import make_optimizer, rate_factor, set_rate
from clipfold.training.order import epoch_order


def trained_by_hand(data, ids, settings, epochs, seed):
    """Train on videos that have one augmented copy each; returns the weights and each epoch's last learning rate."""
    clips, size = Clips(data["data"], settings["frames"], SIZE, SIZE), settings["batch_size"]
    labels = read_table(data["splits"]).to_pandas().drop_duplicates("id").set_index("id").label
    targets = labels.loc[ids].eq("c1").to_numpy(int)
    weight = len(ids) / (2 * np.bincount(targets)) if settings["class_weight"] == "balanced" else np.ones(2)
    torch.manual_seed(seed)
    network = naive_cnn.build(settings, 2).train()
    optimizer = make_optimizer(network, settings, torch.device("cpu"))
    steps = settings["epochs"] * math.ceil(len(ids) / size)
    step, rates = 0, []
    for epoch in range(1, epochs + 1):
        order, versions = epoch_order(targets, [2] * len(ids), seed=seed, epoch=epoch, balanced=False)
        for first in range(0, len(ids), size):
            rows = order[first : first + size]
            chosen = [ids[i] for i in rows]
            shown = torch.from_numpy(clips.gather(chosen, versions[first : first + size]))
            set_rate(optimizer, rate_factor(settings, step, steps))
            logits = class_logits(forward(network, as_input(network, shown), torch.from_numpy(clips.boxes(chosen))))
            loss = cross_entropy(logits, torch.from_numpy(targets[rows]), torch.tensor(weight).float(), reduction="sum")
            optimizer.zero_grad()
            (loss / len(rows)).backward()
            optimizer.step()
            step += 1
        rates.append(optimizer.param_groups[0]["lr"])
    return network.state_dict(), rates
