"""A bundle with a frozen encoder also tells how far a video is in what the encoder sees."""

import shutil

import numpy as np
import pytest
from helpers.bundles import repack
from helpers.finished_run import EMBEDDINGS, FEATURES
from helpers.made_up_inputs import CLASSES, pair, with_distances

import clipfold
from clipfold.delivery.drift import drift
from clipfold.delivery.embedding import Embedded, read_embeddings, write_embeddings
from clipfold.delivery.run import compare_drift, predict_sources
from clipfold.delivery.sources import Sources


def test_one_is_the_distance_of_the_farthest_twentieth_of_the_training_videos():
    random = np.random.default_rng(0)
    points, new = (random.normal(size=(400, 32)) + 3 for _ in range(2))
    embedded = Embedded(points, range(400))
    assert np.mean(embedded.own > 1) == pytest.approx(0.05)
    assert 0.02 < np.mean(embedded.distances(new) > 1) < 0.12
    assert (embedded.distances(-new) > 3).all()
    np.testing.assert_allclose(embedded.distances(7 * new), embedded.distances(new))


def test_videos_of_the_same_group_do_not_make_the_training_data_dense():
    points = np.random.default_rng(0).normal(size=(30, 8)).repeat(10, axis=0)
    alone = Embedded(points[::10], range(30))
    grouped = Embedded(points, np.repeat(range(30), 10))
    assert grouped.own.min() > 0.1
    assert grouped.own[::10] == pytest.approx(alone.own, rel=0.5)


def test_the_table_is_read_as_it_was_written(tmp_path):
    points = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    write_embeddings(tmp_path, points)
    np.testing.assert_array_equal(read_embeddings(tmp_path, 5), points)
    with pytest.raises(ValueError, match="number of rows is 5: use one for each of the 6"):
        read_embeddings(tmp_path, 6)
    write_embeddings(tmp_path, np.full((5, 3), np.inf))
    with pytest.raises(ValueError, match="use finite ones"):
        read_embeddings(tmp_path, 5)
    write_embeddings(tmp_path, np.zeros((5, 5000)))
    with pytest.raises(ValueError, match="number of columns is 5000"):
        read_embeddings(tmp_path, 5)
    (tmp_path / "embeddings.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"embeddings\.parquet cannot be used"):
        read_embeddings(tmp_path, 5)


def test_drift_compares_distances_of_embeddings():
    """Inputs and scores are alike, but the encoder sees other things."""
    training, new = with_distances(*pair(0))
    random = np.random.default_rng(0)
    training["embedding_distance"], new["embedding_distance"] = random.normal(0.6, 0.2, (2, len(new)))
    assert drift(training, new, CLASSES).verdict == "none"
    found = drift(training, new.assign(embedding_distance=new.embedding_distance + 0.7), CLASSES)
    assert (found.verdict, found.items[0].name, found.items[0].kind) == ("worry", "embedding_distance", "input")
    assert "training videos" in found.items[0].unit
    assert found.reason.startswith("Embedding_distance differs clearly from the training data")
    older = drift(training, new.drop(columns="embedding_distance"), CLASSES)
    assert "embedding_distance" not in {item.name for item in older.items}


@pytest.mark.slow
def test_only_a_bundle_with_an_encoder_gives_distances_of_embeddings(run, bundles, videos, tmp_path):
    some = list(videos.values())[:3]
    found = bundles[EMBEDDINGS].predict([*some, tmp_path / "gone.mp4"])
    assert found.columns.tolist()[5:8] == ["spread", "distance", "embedding_distance"]
    assert found.embedding_distance[:3].between(0, 1.5).all()
    assert np.isnan(found.embedding_distance[3])
    assert "embedding_distance" not in bundles[FEATURES].predict(some)
    assert "holds embeddings of training videos" in (run.bundle(EMBEDDINGS).parent / "README.md").read_text()
    assert "holds embeddings of training videos" not in (run.bundle(FEATURES).parent / "README.md").read_text()


@pytest.mark.slow
def test_drift_of_a_bundle_with_an_encoder_shows_them(bundles, videos, tmp_path):
    sources = Sources({path.name: str(path) for path in videos.values()})
    predict_sources(bundles[EMBEDDINGS], sources, tmp_path / "out.csv", False, 2, Bar)
    compare_drift(bundles[EMBEDDINGS], tmp_path / "out.csv", tmp_path / "drift.html")
    assert "embedding_<wbr>distance" in (tmp_path / "drift.html").read_text()


@pytest.mark.slow
def test_a_bundle_that_was_made_without_embeddings_still_loads(bundles, videos, tmp_path):
    folder = shutil.copytree(bundles[EMBEDDINGS].folder, tmp_path / "older")
    (folder / "embeddings.parquet").unlink()
    repack(folder)
    video = next(iter(videos.values()))
    with clipfold.load(folder) as older:
        found = older.predict(video)
    assert "embedding_distance" not in found
    expected = bundles[EMBEDDINGS].predict(video)
    assert found.p_real.tolist() == expected.p_real.tolist()


class Bar:
    """A progress bar that shows nothing."""

    def __init__(self, total):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, count=1):
        pass
