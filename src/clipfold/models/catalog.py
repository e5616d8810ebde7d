"""The catalog of architectures: name, module, settings, resources. Standard library only: every start reads it."""

from collections.abc import Mapping

from clipfold.models.architecture import Architecture, Resources, on_clips, on_features
from clipfold.models.declare import Setting
from clipfold.models.named_encoders import GMAC
from clipfold.models.settings import FINE_TUNED, ON_CLIPS, ON_FEATURES, PRETRAINED, SEEDS

_WITH_BACKBONE = {**ON_CLIPS, **PRETRAINED}
_WITH_ENCODER = {**_WITH_BACKBONE, **FINE_TUNED}
_WIDTH, _ENCODER = "channels of the first block", "network that embeds each frame"
_INVERSE = "inverse strength of the L2 regularisation"
_ENCODERS, _CHOICES = tuple(GMAC), f"the name of one of `encoders`, or one of {', '.join(GMAC)}"

STACK = "feature_ensemble"
"""The model that by default learns from all feature groups and all encoders."""

# Transformers learn less from random weights at the others' learning rate: they have 3e-4.
_ARCHITECTURES = (
    on_features(
        "logistic_regression",
        runtime=30,
        C=Setting({"grid": [0.001, 0.01, 0.1, 1.0]}, _INVERSE, kind=float, above=0),
    ),
    on_features(
        "svm",
        C=Setting({"grid": [0.1, 1.0, 10.0]}, _INVERSE, kind=float, above=0),
        kernel=Setting("rbf", "kernel", choices=("linear", "poly", "rbf", "sigmoid")),
        gamma=Setting(
            "scale",
            "coefficient of the kernel",
            kind=float,
            above=0,
            also=("scale", "auto"),
            values="scale, auto or a positive number",
        ),
        most_videos=Setting(
            10_000,
            "most videos to fit on, drawn in equal shares of the classes: the time of a fit grows with their square",
            low=100,
            also=(0,),
            values="a whole number from 100, or 0 for all",
        ),
    ),
    on_clips(
        "naive_cnn",
        gmac=0.071,
        memory_mb=4000,
        runtime=240,
        size=64,
        width=Setting(16, _WIDTH, low=1, values="1 or more channels", memory=True),
    ),
    on_clips(
        "slowfast",
        _WITH_BACKBONE,
        gmac={"small": 1.15, "r50_8x8": 6.6},
        moving=True,
        dropout=0.5,
        variant=Setting(
            "small",
            "`small`: 2.8 M parameters; `r50_8x8`: 34.6 M, published for 32 frames of 224 to 256 pixels",
            choices=("small", "r50_8x8"),
            memory=True,
        ),
    ),
    on_clips(
        "x3d",
        _WITH_BACKBONE,
        gmac=7.3,
        moving=True,
        dropout=0.5,
        variant=Setting(
            "m",
            "one network (3.8 M parameters), published weights for 4 x 160, 13 x 160, 16 x 224 (frames x pixels)",
            choices=("xs", "s", "m"),
            memory=True,
        ),
    ),
    on_clips(
        "vit_gru",
        _WITH_ENCODER,
        memory_mb=6000,
        learning_rate=3e-4,
        size=64,
        encoder=Setting("vit_micro", _ENCODER, choices=_ENCODERS, values=_CHOICES, memory=True),
        hidden=Setting(128, "width of the state", low=1, memory=True),
        layers=Setting(1, "number of GRU layers", low=1, memory=True),
        state=Setting("mean", "state to classify: the last frame's or the mean", choices=("last", "mean")),
    ),
    on_clips(
        "vit_transformer",
        _WITH_ENCODER,
        memory_mb=6000,
        learning_rate=3e-4,
        size=64,
        encoder=Setting("vit_micro", _ENCODER, choices=_ENCODERS, values=_CHOICES, memory=True),
        depth=Setting(2, "number of transformer layers", low=1, memory=True),
        heads=Setting(
            0,
            "attention heads of each layer; a divisor of the encoder's width; 0: one for each 64 values, or fewer",
            low=0,
            memory=True,
        ),
    ),
    on_clips(
        "cnn_lstm",
        _WITH_ENCODER,
        memory_mb=6000,
        size=64,
        encoder=Setting("resnet18", _ENCODER, choices=_ENCODERS, values=_CHOICES, memory=True),
        hidden=Setting(128, "width of the state, in each direction", low=1, memory=True),
        layers=Setting(1, "number of LSTM layers", low=1, memory=True),
    ),
    on_clips("r3d_18", _WITH_BACKBONE, gmac=40.7, moving=True),
    on_clips("mvit_v2_s", _WITH_BACKBONE, gmac=21.5, moving=True, learning_rate=3e-4, dropout=0.5),
    on_clips("swin3d_t", _WITH_BACKBONE, gmac=18.0, moving=True, learning_rate=3e-4),
    on_clips(
        "variable_ar_cnn",
        gmac=0.61,
        memory_mb=4000,
        runtime=240,
        width=Setting(16, _WIDTH, low=1, values="1 or more channels", memory=True),
    ),
    on_features(
        STACK,
        C=Setting({"grid": [0.001, 0.01, 0.1, 1.0]}, f"{_INVERSE}, of each member", kind=float, above=0),
    ),
    on_features(
        "feature_mlp",
        hidden=Setting(
            [64, 32],
            "width of each layer",
            low=1,
            values="one or more widths of 1 or more, such as [64, 32]",
            memory=True,
        ),
        alpha=Setting(1.0, "strength of the L2 regularisation", low=0),
        seeds=SEEDS,
    ),
    on_features(
        "gradient_boosting",
        ON_FEATURES,
        learning_rate=Setting(0.1, "factor of each tree", above=0),
        max_iter=Setting(100, "number of trees per class", low=1, memory=True),
        max_leaf_nodes=Setting(31, "leaves of a tree", low=2, memory=True),
        min_samples_leaf=Setting(5, "videos in a leaf", low=1),
        l2_regularization=Setting(0.0, "strength of the L2 regularisation", low=0),
    ),
    Architecture(
        name="ensemble",
        module="clipfold.training.on_predictions",
        input="predictions",
        declared={
            "members": Setting(
                [], "names of other entries; empty: all but those that mix or choose", values="names of other entries"
            ),
            "mix": Setting(
                "mean",
                "`mean`: weights with the lowest log-loss; `best`: all weight for the best member, as in a `select`; "
                "`cascade`: the first of two members, a cheap one, answers where it is sure, else the second",
                choices=("mean", "best", "cascade"),
            ),
            "loss": Setting(
                0.01,
                "accuracy that a cascade may lose against its second member on validation videos, a share",
                low=0,
                below=1,
            ),
        },
        needs=Resources(memory_mb=1000, gpus=0, threads=1, runtime=10),
    ),
)

ARCHITECTURES: Mapping[str, Architecture] = {known.name: known for known in _ARCHITECTURES}
"""Those that entries of `models:` may name."""

FOR_TABLES = ("logistic_regression", "svm", "gradient_boosting")
"""The models of a table by default, which has no groups of features and no clips."""
