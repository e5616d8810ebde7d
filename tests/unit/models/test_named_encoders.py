"""Encoders that the config names: once, for features and networks."""

import pytest

from clipfold.models.embed import precision_of
from clipfold.models.entries import plan_models
from clipfold.models.named_encoders import check_weights, encoder_key, plan_encoders

ENCODERS = {
    "small": {"source": "timm/tf_efficientnet_lite0", "weights": "w.safetensors"},
    "own": "resnet18",
    "whole": "r3d_18",
}


def planned(*entries, modality="video", encoders=ENCODERS):
    found = plan_encoders(encoders, 112, 16 if modality == "video" else 1)
    return plan_models(entries, largest_size=112, most_frames=16, modality=modality, encoders=found)


def test_features_and_a_frozen_network_share_the_embeddings_of_a_named_encoder():
    features = {"architecture": "logistic_regression", "features": ["embedding.small", "motion"]}
    light, network = planned(features, {"architecture": "cnn_lstm", "encoder": "small", "freeze": True})
    (own,) = light.encoders
    assert light.embedded == {"embedding.small": own}
    assert network.encoders == [own]
    assert encoder_key(own).isidentifier()
    assert own == {
        "encoder": "timm/tf_efficientnet_lite0",
        "size": 112,
        "weights": "w.safetensors",
        "download": False,
        "precision": "fp32",
    }
    assert network.gmac > 0


def test_a_frozen_encoder_embeds_alike_on_every_device_where_the_networks_precision_is_automatic():
    entry = {"architecture": "vit_gru", "freeze": True, "precision": "auto"}
    (network,) = planned(entry)
    assert network.encoder["precision"] == precision_of(network.settings) == "fp32"


def test_a_network_computes_in_the_precision_of_its_encoder_unless_told_otherwise():
    half = {"own": {"source": "resnet18", "weights": "", "precision": "bf16"}}
    entry = {"architecture": "cnn_lstm", "encoder": "own", "freeze": True}
    same, other = planned(entry, entry | {"name": "other", "precision": "fp32"}, encoders=half)
    assert same.settings["precision"] == same.encoders[0]["precision"] == "bf16"
    assert other.encoders[0]["precision"] == "fp32"
    assert encoder_key(same.encoders[0]) != encoder_key(other.encoders[0])
    with pytest.raises(ValueError, match="encoders: own: precision is 'int8': use one of fp32, bf16, fp16"):
        planned(encoders={"own": {"source": "resnet18", "precision": "int8"}})


def test_weights_that_are_not_there_stop_a_run(tmp_path):
    own = plan_encoders({"own": {"source": "resnet18", "weights": str(tmp_path / "w.pt")}}, 112, 16)["own"]
    with pytest.raises(ValueError, match=r"weights is '.*w.pt': name an existing file"):
        check_weights(own)
    (tmp_path / "w.pt").touch()
    for weights in (str(tmp_path / "w.pt"), "pretrained", "", "s3://bucket/w.pt"):
        check_weights(own | {"weights": weights})
    with pytest.raises(ValueError, match=r"weights is '.*': it has no config.json"):
        check_weights(own | {"encoder": "transformers/videomae", "weights": str(tmp_path), "frames": 16})


def test_images_have_embeddings_too_but_do_not_move():
    own = {"own": "resnet18"}
    (light,) = planned({"architecture": "svm", "features": ["embedding.own"]}, modality="image", encoders=own)
    assert light.embedded["embedding.own"]["weights"] == "pretrained"
    with pytest.raises(ValueError, match="encoders: whole: source is 'r3d_18': images do not move"):
        planned("svm", modality="image", encoders=ENCODERS)


def test_the_ensemble_of_features_learns_from_all_encoders_unless_told_otherwise():
    every, some = planned("feature_ensemble", {"architecture": "feature_ensemble", "name": "b", "features": ["motion"]})
    assert every.embedded.keys() == {"embedding.small", "embedding.own", "embedding.whole"}
    assert "motion" in every.settings["features"]
    assert some.embedded == {}


def test_a_network_on_whole_clips_has_the_frames_of_the_clips():
    (light,) = planned({"architecture": "svm", "features": ["embedding.whole"]})
    assert light.embedded["embedding.whole"]["frames"] == 16


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"architecture": "svm", "features": ["embedding.x"]},
            "name the encoder in `encoders:`.*one of small, own, whole",
        ),
        ({"architecture": "svm", "features": ["x", "embedding.own"]}, r"features is \['x'\]"),
        ({"architecture": "vit_gru", "encoder": "x"}, "encoder is 'x': use the name of one of `encoders`"),
        ({"architecture": "vit_gru", "encoder": "own", "weights": "a"}, "set it in encoders: own instead"),
        (
            {"architecture": "vit_gru", "encoder": "whole"},
            "encoder is 'whole': it embeds whole clips: use embedding.whole",
        ),
    ],
)
def test_models_name_encoders_that_there_are(entry, message):
    with pytest.raises(ValueError, match=message):
        planned(entry)


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ({"a": "b"}, "encoders: a: source is 'b': use vit_micro"),
        ({"a": "timm/hf-hub:b"}, "source"),
        ({"a": {"sorce": "resnet18"}}, "did you mean 'source'"),
        ({"a": {"source": "resnet18", "size": 500}}, "use 16 up to decode.size"),
        ({"resnet18": "resnet18"}, "no name of clipfold's own"),
        ({"a": 3}, "name a source"),
    ],
)
def test_mistakes_in_encoders(encoders, message):
    with pytest.raises(ValueError, match=message):
        planned("svm", encoders=encoders)
