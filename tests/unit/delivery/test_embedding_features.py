"""Bundles whose models read embeddings of a frozen encoder as features."""

import numpy as np
import pandas as pd
import pytest

from clipfold.delivery.feature_groups import feature_groups
from clipfold.delivery.opened import OpenBundle
from clipfold.features.embedding import columns_of
from clipfold.models.frozen import Frozen, write_frozen
from clipfold.storage.files import write_json

SETTINGS = {"encoder": "vit_micro", "size": 32, "weights": "", "download": False, "sha256": None, "seed": 3}
DESCRIPTION = {"name": "x", "classes": ["a", "b"], "probe": {}, "decode": {}, "policy": {}}
RECORD = {
    "format": 1,
    "architecture": "clipfold.models.architectures.logistic_regression",
    "input": "features",
    "classes": ["a", "b"],
    "settings": {},
    "features": ["motion.speed", "embedding.eye.mean_0"],
}


def bundle_of(folder, *facts):
    for number, own in enumerate(facts):
        write_json(folder / f"fits/{number}/fit.json", RECORD | {"encoders": {"embedding.eye": own}})
    return OpenBundle(folder, DESCRIPTION)


def test_embeddings_of_videos_are_added_to_their_handcrafted_features(tmp_path):
    facts = write_frozen(SETTINGS, tmp_path / "encoders")
    bundle = bundle_of(tmp_path, facts, facts)
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3), np.uint8)
    found = bundle.with_embeddings(pd.DataFrame({"motion.speed": [1.0, 2.0]}, index=["v", "w"]), clips)
    assert list(found) == ["motion.speed", *columns_of("embedding.eye", 4 * 192)]
    assert list(found.index) == ["v", "w"]
    np.testing.assert_array_equal(found.iloc[:, 1:], Frozen(facts, tmp_path / "encoders").features(clips))
    nothing = bundle.with_embeddings(pd.DataFrame({"motion.speed": []}), np.empty(0, np.uint8))
    assert nothing.empty


def test_fits_share_an_encoder(tmp_path):
    facts = write_frozen(SETTINGS, tmp_path / "encoders")
    with pytest.raises(ValueError, match="all fits must have the same"):
        _ = bundle_of(tmp_path, facts, facts | {"size": 64}).encoders


def test_embeddings_are_no_handcrafted_group(tmp_path):
    bundle = bundle_of(tmp_path, {})
    bundle.description = {"feature_versions": {"motion": 2}}
    assert feature_groups(bundle) == ["motion"]
