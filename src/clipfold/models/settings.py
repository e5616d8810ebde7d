"""Settings that architectures share, each declared once. Standard library only: every start reads it.

Stage code never imports this module: values reach it as a plain dict, so that a new setting re-runs no other stage.
"""

from collections.abc import Mapping
from typing import Any

from clipfold.features.registry import GROUPS
from clipfold.models.declare import Setting

Settings = Mapping[str, Setting]

SEEDS = Setting(
    1,
    "trainings of each fold, each from another random start; the model is the mean of their probabilities, and their "
    "differences are part of intervals and tests",
    low=1,
)

ON_FEATURES: Settings = {
    "features": Setting(
        ["motion", "violent_flow", "regions", "texture", "temporal", "noise", "compression", "chroma"],
        "feature groups to learn from",
        choices=tuple(GROUPS),
        memory=True,
    ),
    "class_weight": Setting(
        "balanced",
        "`balanced` gives rare classes more weight",
        choices=("balanced",),
        also=(None,),
        values="balanced, or null for none",
    ),
}

SCALED: Settings = {
    **ON_FEATURES,
    "scaling": Setting(
        "variance",
        "`variance`: mean 0 and variance 1 in each column; `ranks`: the share of training videos below",
        choices=("variance", "ranks"),
    ),
    "keep": Setting(
        1.0,
        "share of the columns to keep, those that separate the classes best in the training split",
        above=0,
        high=1,
        values="a share above 0, at most 1",
    ),
}

ON_CLIPS: Settings = {
    "frames": Setting(
        16,
        "frames to take from the stored clip, evenly spread",
        low=1,
        values="1 up to decode.views.clips.frames",
        memory=True,
    ),
    "size": Setting(
        112,
        "edge in pixels; clips are resized once for all models of that size",
        low=16,
        values="16 up to decode.size",
        memory=True,
    ),
    "batch_size": Setting(
        8,
        "clips per pass; `auto` finds how many fit in memory. `batch_size` x `accumulate` is the effective batch",
        low=1,
        also=("auto",),
        values="1 or more, or auto",
        memory=True,
    ),
    "accumulate": Setting(
        1, "passes per optimizer step; with `batch_size: auto`, the effective batch", low=1, memory=True
    ),
    "predict_batch": Setting(
        0,
        "clips per pass of validation and prediction, which need less memory than training; 0: as many as in training",
        low=0,
        values="0 (as in training) or more",
    ),
    "seeds": SEEDS,
    "epochs": Setting(30, "largest number of epochs", low=1),
    "patience": Setting(
        10,
        "epochs without a better validation loss before training stops; the best epoch is kept",
        low=1,
        values="1 or more epochs",
    ),
    "refit": Setting(
        False,
        "train again, on train and validation together, for as many epochs as the first training chose; threshold and "
        "calibration stay those of the first",
    ),
    "dropout": Setting(0.2, "probability before the last layer", low=0, below=1),
    # The data.
    "sampler": Setting(
        "shuffled",
        "`shuffled`: each video once per epoch; `balanced`: the same number from each class, with replacement",
        choices=("shuffled", "balanced"),
    ),
    "class_weight": Setting(
        "balanced",
        "`balanced` gives rare classes more weight, unless the sampler already balances them",
        choices=("balanced", "none"),
    ),
    "loss": Setting("cross_entropy", "loss function", choices=("cross_entropy", "focal")),
    "focal_gamma": Setting(2.0, "focusing exponent of the focal loss", low=0),
    "focal_alpha": Setting(
        -1.0,
        "weight of the second of two classes in the focal loss; -1: `class_weight` decides",
        low=0,
        high=1,
        also=(-1,),
        values="0 to 1, or -1 for class_weight",
    ),
    "label_smoothing": Setting(0.0, "probability spread evenly over all classes", low=0, below=1),
    # The next five change what a frozen encoder sees, so that its embeddings cannot be computed once: more memory.
    "flip": Setting(
        0.0,
        "probability of mirroring; drawn anew in each step, besides the augmented copies",
        low=0,
        high=1,
        memory=True,
    ),
    "crop": Setting(
        1.0,
        "smallest share of each edge to keep; drawn anew in each step",
        above=0,
        high=1,
        values="a share above 0, at most 1",
        memory=True,
    ),
    "jitter": Setting(0.0, "largest change of each colour; drawn anew in each step", low=0, high=1, memory=True),
    "mixup": Setting(
        0.0, "alpha of mixup (Zhang et al. 2018)", low=0, values="0 (off) or more, such as 0.2", memory=True
    ),
    "views_at_test": Setting(
        1,
        "views of a clip whose probabilities are averaged in predictions; 2: itself and its mirror image; 4: also the "
        "middle of both, enlarged. The epoch is chosen by one view",
        low=1,
        high=2,
        also=(4,),
        values="1, 2 or 4",
        memory=True,
    ),
    # The optimisation.
    "optimizer": Setting("adamw", "`sgd` has Nesterov momentum 0.9", choices=("adamw", "sgd"), memory=True),
    "learning_rate": Setting(1e-3, "largest learning rate", above=0),
    "weight_decay": Setting(0.05, "weight decay; biases and normalisation weights do not decay", low=0),
    "schedule": Setting(
        "cosine",
        "learning rate after the warm-up; `plateau` divides it by 10 after `plateau_patience` epochs without progress",
        choices=("cosine", "plateau", "constant"),
    ),
    "warmup": Setting(
        0.1, "share of all steps with a linear rise of the rate", low=0, below=1, values="a share of all steps below 1"
    ),
    "plateau_patience": Setting(5, "epochs, see `schedule`", low=1, values="1 or more epochs"),
    "clip_norm": Setting(1.0, "largest norm of the gradient; 0: no limit", low=0, values="0 (off) or more"),
    "ema": Setting(
        0.0,
        "decay of a running average of the weights, which is then validated and kept",
        low=0,
        below=1,
        values="0 (off) or a decay such as 0.999",
        memory=True,
    ),
    "on_nan": Setting(
        "stop",
        "on a loss that is not finite: `stop` ends the job and names step, rate and videos; `halve` resumes the last "
        "checkpoint at half the rate, at most 5 times",
        choices=("stop", "halve"),
    ),
    # The computation.
    "device": Setting(
        "auto",
        "`auto`: the GPU if it can be used, else the CPU, and log, `fit.json` and report say why; `cuda`: fail without "
        "a GPU; `cpu`: request none",
        choices=("auto", "cuda", "cpu"),
    ),
    "precision": Setting(
        "fp32",
        "`auto`: bf16 on a GPU that has it, else fp32; `fp16` uses loss scaling and needs a GPU",
        choices=("auto", "fp32", "bf16", "fp16"),
        memory=True,
    ),
    "tf32": Setting(True, "TF32 for matrix products and convolutions on a GPU"),
    "channels_last": Setting(True, "memory layout of the weights", memory=True),
    "compile": Setting(
        "none",
        "mode of `torch.compile`",
        choices=("none", "default", "reduce-overhead", "max-autotune"),
        memory=True,
    ),
    "graph": Setting(
        False,
        "launch each training step on a GPU as one CUDA graph, for networks that are bound by launching kernels; not "
        "yet measured",
        memory=True,
    ),
    "deterministic": Setting(True, "`false` lets a GPU choose the fastest algorithms", memory=True),
    "checkpointing": Setting(
        False, "recompute activations instead of keeping them: less memory, a third more time", memory=True
    ),
    "workers": Setting(
        2,
        "processes that read ahead for a GPU, where a split does not fit in its memory; set `threads` to two more",
        low=0,
        memory=True,
    ),
    # The records.
    "checkpoint_epochs": Setting(
        1, "epochs between checkpoints; 0: none by epochs", low=0, values="0 (off) or more epochs"
    ),
    "checkpoint_minutes": Setting(
        10.0, "minutes between checkpoints; 0: none by time", low=0, values="0 (off) or more minutes"
    ),
    "tensorboard": Setting(False, "write curves to `results/training/MODEL/fold-K`"),
    "profile": Setting(False, "write a trace of three steps to the same folder"),
    "memory_detail": Setting(False, "record in `fit.json` what occupies the memory"),
}

PRETRAINED: Settings = {
    "weights": Setting(
        "",
        "empty: random; `pretrained`: the published file; or the path of a file",
        also=(None,),
        values="pretrained, the path of a file, or nothing",
    ),
    "download": Setting(False, "download the published file if PyTorch's cache has none"),
    "freeze": Setting(False, "keep the backbone's weights", memory=True),
    "unfreeze_at": Setting(
        0,
        "epoch from which a frozen backbone is trained as well; 0: never",
        low=0,
        values="0 (never) or the number of an epoch",
        memory=True,
    ),
    "backbone_rate": Setting(1.0, "factor of the backbone's learning rate", low=0, values="a factor of 0 or more"),
}

FINE_TUNED: Settings = {
    "unfreeze_blocks": Setting(
        0,
        "last blocks of a frozen encoder that are trained, with what follows them",
        low=0,
        values="0 (none) or the number of blocks",
        memory=True,
    ),
    "lora_rank": Setting(
        0,
        "rank of the changes to the attention of a frozen encoder that are trained instead of its weights (LoRA, Hu et "
        "al. 2021)",
        low=0,
        values="0 (none) or a rank such as 8",
        memory=True,
    ),
}


def check_combinations(name: str, settings: Mapping[str, Any]) -> None:
    """Check settings of a model on clips against each other.

    Args:
        name: The model's name, for messages.
        settings: All its settings.

    Raises:
        ValueError: Two settings contradict each other.
    """
    if settings["batch_size"] == "auto" and settings["accumulate"] == 1:
        raise ValueError(
            f"models: {name}: batch_size is 'auto' and accumulate 1: set accumulate to the clips per optimizer step, "
            "such as 32; auto finds how many of them fit into memory at once"
        )
    if settings["compile"] != "none" and settings["checkpointing"]:
        raise ValueError(
            f"models: {name}: compile is {settings['compile']!r} and checkpointing true: PyTorch would run what is "
            "recomputed uncompiled: use only one of them"
        )
    if settings["graph"] and (settings["compile"] != "none" or settings["checkpointing"]):
        key = "checkpointing" if settings["checkpointing"] else "compile"
        raise ValueError(
            f"models: {name}: graph is true and {key} {settings[key]!r}, which cannot be recorded in a CUDA graph of "
            "the whole step: use only one of them"
        )
    several = settings["batch_size"] != "auto" and settings["accumulate"] > 1
    if settings["compile"] in ("reduce-overhead", "max-autotune") and several:
        raise ValueError(
            f"models: {name}: compile is {settings['compile']!r} and accumulate {settings['accumulate']}: the CUDA "
            "graphs of this mode overwrite the gradients of the pass before: use compile: default, or accumulate: 1"
        )
    for key in ("unfreeze_at", *FINE_TUNED):
        if settings.get(key) and not settings["freeze"]:
            raise ValueError(f"models: {name}: {key} is {settings[key]} but freeze is false: set freeze: true")
