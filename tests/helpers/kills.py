"""Kill fits at random moments until one ends, and report: `python -m helpers.kills FOLDER KILLS SEED`.

Runs as its own process, which imports what fits need but runs no torch operation before it forks.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
from helpers.fits import Fitted, plan, write_data

from clipfold.training.on_clips import fit
from clipfold.training.task import Task

OFTEN = 0.05 / 60  # minutes: a checkpoint every few steps
PLANS = {
    "naive_cnn": {"dropout": 0.3, "epochs": 5, "refit": True, "checkpoint_minutes": OFTEN},
    "vit_gru": {
        "dropout": 0.3,
        "layers": 2,
        "ema": 0.9,
        "flip": 0.5,
        "crop": 0.7,
        "jitter": 0.1,
        "mixup": 0.2,
        "checkpoint_minutes": OFTEN,
    },
}


def start(arguments):
    child = os.fork()
    if child:
        return child
    log = os.open(Path(arguments["scratch"]).parent / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(log, 2)
    try:
        fit(Task(**arguments))
    except BaseException as error:
        os.write(2, repr(error).encode())
        os._exit(1)
    os._exit(0)


def survive(folder, data, architecture, kills, random):
    changes = PLANS[architecture]
    whole = plan(data, folder / "whole", architecture, **changes)
    Path(whole["scratch"]).mkdir(parents=True)
    began = time.monotonic()
    _, status = os.waitpid(start(whole), 0)
    lasts = time.monotonic() - began
    assert status == 0, (folder / "whole/log").read_text()
    broken = plan(data, folder / "broken", architecture, **changes)
    done = mid_epoch = runs = 0
    while done < kills or runs == 0:
        shutil.rmtree(folder / "broken", ignore_errors=True)
        Path(broken["scratch"]).mkdir(parents=True)
        while True:
            child = start(broken)
            if done < kills:
                time.sleep(lasts * random.uniform(0.2, 0.9))
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if status == 0:
                break
            assert os.WIFSIGNALED(status), (folder / "broken/log").read_text()
            done += 1
        runs += 1
        log = (folder / "broken/log").read_text()
        assert "starting over" not in log, log
        mid_epoch += log.count("resuming at") - log.count("step 0 of")
        Fitted(whole).assert_same(Fitted(broken))
        assert list((folder / "broken").rglob("*.pt")) == []
    return {"kills": done, "runs": runs, "resumed within an epoch": mid_epoch, "seconds": round(lasts, 2)}


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.INFO)
    folder, kills = Path(sys.argv[1]), int(sys.argv[2])
    random = np.random.default_rng(int(sys.argv[3]))
    data = write_data(folder / "data")
    print(json.dumps({name: survive(folder / name, data, name, kills, random) for name in PLANS}))
