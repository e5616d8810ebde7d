"""A profile changes what it says and nothing else; what it changes is in the table, on the page and in what is kept."""

from dataclasses import fields

import av
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.finished_run import CLIPS, EMBEDDINGS, ENSEMBLE, FEATURES, MODELS
from tqdm import tqdm

import clipfold
from clipfold.delivery.predict import predict_to
from clipfold.delivery.prepare import prepare
from clipfold.delivery.profiles import BALANCED, PROFILES, Profile, profile_of
from clipfold.delivery.run import predict_sources
from clipfold.delivery.sources import Sources
from clipfold.delivery.timelines import Cut, timelines_to
from clipfold.delivery.unchanged import Unchanged
from clipfold.evaluation.temperature import scale

slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fats",), "profile is 'fats': did you mean 'fast'?"),
        (("fast", ["enuf=1"]), "set is 'enuf=1': did you mean 'enough'?"),
        (("fast", ["name=x"]), "set is 'name=x': "),
        (("fast", ["threads"]), "threads is '': use a whole number"),
        (("fast", ["fits=-1"]), "fits is -1: use 1 or more"),
        (("fast", ["enough=nan"]), "enough is nan: use a probability"),
        (("fast", ["loop_filter=no"]), "loop_filter is 'no': use true or false"),
        (("quality", ["precision=int8"]), "precision is 'int8': use one of"),
        (("fast", ["compile=true"]), "compile is 'true': use one of none, default"),
        (("quality", ["views_at_test=3"]), "views_at_test is 3: use 1, 2, 4, or 0"),
    ],
)
def test_a_mistake_is_one_line(arguments, message):
    with pytest.raises(ValueError, match="^" + message.replace("?", r"\?")):
        profile_of(*arguments)


def test_balanced_changes_nothing_and_every_other_profile_something():
    assert PROFILES["balanced"] == BALANCED == Profile()
    assert [name for name, profile in PROFILES.items() if not profile.changes] == ["balanced"]
    assert not profile_of(
        "fast", [f"{f.name}={getattr(BALANCED, f.name)}".lower() for f in fields(Profile)[1:]]
    ).changes


@pytest.fixture
def opened(run):
    """Open the bundle of a model, to predict by a profile."""
    kept = []

    def open_(model, *changes, profile="balanced"):
        kept.append(clipfold.load(run.bundle(model), profile_of(profile, changes)))
        return kept[-1]

    yield open_
    for bundle in kept:
        bundle.close()


@pytest.fixture(scope="module")
def prepared(bundles, videos):
    return {model: prepare(bundles[model], {name: str(path) for name, path in videos.items()}, 2) for model in MODELS}


def ask(bundle, prepared):
    return bundle.probabilities(features=prepared.features, clips=prepared.clips, boxes=prepared.boxes)


@slow
@pytest.mark.parametrize("model", [FEATURES, CLIPS, ENSEMBLE])
def test_a_sure_fit_ends_the_questions(bundles, opened, prepared, model, monkeypatch):
    every = ask(bundles[model], prepared[model])
    first = bundles[model].description["fits"][0]
    sure = scale(every[0], first["temperature"], np.array(first["bias"])).max(axis=1)
    enough = float(np.median(sure))
    some = opened(model, f"enough={enough!r}")
    monkeypatch.setitem(some.description, "threshold", 0.0)  # names the positive class of all
    asked_on = ask(some, prepared[model])
    positive = scale(every[0], first["temperature"], np.array(first["bias"]))[
        :, some.classes.index(some.description["positive"])
    ]
    np.testing.assert_array_equal(np.isnan(asked_on[1]).all(axis=1), positive >= enough)
    monkeypatch.setitem(some.description, "threshold", 0.5)
    found = ask(some, prepared[model])
    exits = sure >= enough
    assert 0 < exits.sum() < len(exits)
    assert np.isnan(found[1:, exits]).all()
    np.testing.assert_allclose(found[:, ~exits], every[:, ~exits], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found[0], every[0])
    answers, usual = some.answers(found), bundles[model].answers(every)
    np.testing.assert_allclose(answers.probabilities.max(axis=1)[exits], sure[exits], atol=1e-12)
    assert (answers.spread[exits] == 0).all()
    np.testing.assert_allclose(answers.probabilities[~exits], usual.probabilities[~exits], atol=1e-6)


@slow
def test_no_more_fits_are_asked_than_the_profile_says(bundles, opened, prepared):
    one = opened(CLIPS, "fits=1")
    found, every = ask(one, prepared[CLIPS]), ask(bundles[CLIPS], prepared[CLIPS])
    np.testing.assert_array_equal(found[0], every[0])
    assert np.isnan(found[1:]).all()
    assert (one.answers(found).spread == 0).all()
    np.testing.assert_array_equal(ask(opened(CLIPS, "fits=9"), prepared[CLIPS]), every)


@slow
def test_a_compiled_network_answers_the_same_and_compiles_for_whole_batches_alone(
    bundles, opened, prepared, monkeypatch
):
    compiled, stances, compile_it = [], [], torch.nn.Module.compile

    def without_compiler(network, mode):  # traced and run as the graph that a compiler would get: it takes a minute
        compiled.append(mode)
        compile_it(network, backend="eager")

    set_stance = torch.compiler.set_stance
    monkeypatch.setattr(torch.nn.Module, "compile", without_compiler)
    monkeypatch.setattr(torch.compiler, "set_stance", lambda stance: stances.append(stance) or set_stance(stance))
    some = opened(CLIPS, "compile=default")
    given = {"clips": prepared[CLIPS].clips, "boxes": prepared[CLIPS].boxes}
    for fit, usual in zip(some.fits, bundles[CLIPS].fits, strict=True):
        fit._batch = len(given["clips"]) - 1  # and one more
        np.testing.assert_allclose(fit.predict_proba(**given), usual.predict_proba(**given), atol=1e-6)
    assert compiled == ["default"] * len(some.fits)
    assert stances == ["force_eager"] * len(some.fits)


@slow
def test_the_mean_over_all_fits_is_that_of_before(bundles, prepared):
    """To the bit: `nanmean` and `nanstd` of numbers are `mean` and `std`."""
    bundle = bundles[CLIPS]
    raw = ask(bundle, prepared[CLIPS])
    facts = bundle.description["fits"]
    each = np.stack([scale(own, f["temperature"], np.array(f["bias"])) for own, f in zip(raw, facts, strict=True)])
    found = bundle.answers(raw)
    np.testing.assert_array_equal(found.probabilities, each.mean(axis=0))
    named = [bundle.classes.index(label) for label in found.labels]
    np.testing.assert_array_equal(found.spread, each[:, np.arange(len(named)), named].std(axis=0))


@slow
def test_fits_that_share_embeddings_are_all_asked(bundles, opened, prepared):
    some = opened(EMBEDDINGS, "enough=0.5")
    np.testing.assert_array_equal(ask(some, prepared[EMBEDDINGS]), ask(bundles[EMBEDDINGS], prepared[EMBEDDINGS]))


@slow
@pytest.mark.parametrize("model", [CLIPS, ENSEMBLE])
def test_mirror_images_are_averaged_and_quality_takes_four_views(bundles, opened, prepared, model):
    given = {"features": prepared[model].features, "clips": prepared[model].clips}
    usual = bundles[model].probabilities(**given)
    mirrored = bundles[model].probabilities(features=given["features"], clips=given["clips"][:, :, :, ::-1])
    two = opened(model, "views_at_test=2").probabilities(**given)
    assert np.abs(usual - mirrored).max() > 1e-5
    np.testing.assert_allclose(two, (usual + mirrored) / 2, atol=1e-6)
    four = opened(model, "views_at_test=4").probabilities(**given)
    assert np.abs(two - four).max() > 1e-5
    np.testing.assert_array_equal(opened(model, profile="quality").probabilities(**given), four)


@slow
def test_precision_is_that_of_the_profile(bundles, opened, prepared):
    given = prepared[CLIPS]
    rough, exact = ask(opened(CLIPS, "precision=bf16"), given), ask(bundles[CLIPS], given)
    assert 1e-7 < np.abs(rough - exact).max() < 0.05


@slow
def test_an_exported_network_predicts_as_it_was_exported(run, tmp_path):
    pytest.importorskip("onnx")
    from clipfold.delivery.export import export

    export(run.bundle(CLIPS), "onnx", tmp_path / "a.clipfold")
    with pytest.raises(ValueError, match=r"^profile is 'quality \(.*: use another: exported networks predict as they"):
        clipfold.load(tmp_path / "a.clipfold", "quality")
    with clipfold.load(tmp_path / "a.clipfold", "fast") as bundle:
        assert bundle.fits


@slow
def test_the_table_the_page_and_what_is_kept_know_the_profile(bundles, opened, videos, tmp_path):
    name, path = next(iter(videos.items()))
    fast, outputs = opened(CLIPS, profile="fast"), (tmp_path / "fast.csv", tmp_path / "usual.csv")
    found = Sources(paths={name: str(path)})

    for bundle, output in zip((fast, bundles[CLIPS]), outputs, strict=True):
        predict_sources(bundle, found, output, True, 1, lambda _: tqdm(disable=True))
    tables = [pd.read_csv(output) for output in outputs]
    assert tables[0].profile.tolist() == [str(PROFILES["fast"])]
    assert "profile" not in tables[1]
    pages = [output.with_suffix(".html").read_text() for output in outputs]
    assert [f"profile {PROFILES['fast']}" in page for page in pages] == [True, False]


@slow
def test_parts_of_another_profile_are_not_taken(opened, videos, tmp_path):
    """An interrupted prediction leaves its parts; the same command by another profile predicts anew."""
    name, path = next(iter(videos.items()))

    def stop(_table):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_to(opened(CLIPS, "fits=1"), {name: str(path)}, tmp_path / "out.parquet", finish=stop)
    found = predict_to(opened(CLIPS, "views_at_test=2"), {name: str(path)}, tmp_path / "out.parquet")
    assert found.profile.tolist() == ["balanced, changed (views_at_test=2)"]


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A video of 4 s in which something moves for one, and then nothing: lossless."""
    path = tmp_path_factory.mktemp("street") / "street.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=20)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(80):
            picture = np.full((64, 96, 3), 90, np.uint8)
            place = 3 * min(number, 20)
            picture[20:40, place : place + 10] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    return path


@slow
def test_windows_in_which_nothing_changed_take_the_answer_of_before(opened, street, tmp_path):
    usual = opened(CLIPS).timeline(street, 1.0, 0.5)
    found = opened(CLIPS, "unchanged=3").timeline(street, 1.0, 0.5)
    assert [*usual.reason] == [""] * 7
    assert [*found.reason] == [""] * 3 + ["unchanged since 1.000 s"] * 4
    np.testing.assert_allclose(found.probabilities, usual.probabilities, rtol=0, atol=1e-6)
    assert [*opened(FEATURES, "unchanged=3").timeline(street, 1.0, 0.5).reason] == [""] * 7
    cut = Cut(window=1.0, stride=0.5)
    for name, changes in (("usual.csv", ()), ("fast.csv", ("unchanged=3", "threads=2"))):
        timelines_to(
            opened(CLIPS, *changes), {"street": str(street)}, tmp_path / name, cut, True, lambda _: tqdm(disable=True)
        )
    pages = [(tmp_path / f"{name}.html").read_text() for name in ("usual", "fast")]
    said = "balanced, changed (threads=2, unchanged=3)"
    assert [said in page for page in pages] == [False, True]
    assert set(pd.read_csv(tmp_path / "fast.csv").profile) == {said}
    assert "profile" not in pd.read_csv(tmp_path / "usual.csv")


def still(level, frames=4, size=64):
    return np.full((frames, size, size, 3), level, np.uint8)


def test_what_changes_little_by_little_has_changed_in_the_end():
    unchanged = Unchanged(3.0)
    assert [unchanged(still(level)) for level in (100, 102, 103, 104, 106, 108)] == [
        False,
        True,
        True,
        False,
        True,
        False,
    ]


def test_a_small_thing_in_one_frame_is_a_change_and_noise_is_none():
    noise = np.random.default_rng(0).normal(0, 3, (2, 4, 64, 64, 3)).round()
    first, second = (np.clip(100 + own, 0, 255).astype(np.uint8) for own in noise)
    unchanged = Unchanged(3.0)
    assert [unchanged(first), unchanged(second)] == [False, True]
    second[2, 20:30, 41:45] = 180  # a person ten pixels tall
    assert not unchanged(second)


def test_without_a_limit_every_window_is_looked_at():
    unchanged = Unchanged(0.0)
    assert [unchanged(still(9)), unchanged(still(9))] == [False, False]
