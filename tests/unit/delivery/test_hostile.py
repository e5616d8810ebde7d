"""Test that a forged bundle is an error for users: nothing of it runs, and nothing outside is read."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.bundles import repack
from helpers.finished_run import CLIPS, EMBEDDINGS, ENSEMBLE, FEATURES
from safetensors.torch import load_file, save_file
from sklearn.preprocessing import FunctionTransformer

import clipfold
from clipfold.models.fitted import write_fitted
from clipfold.storage.files import read_table, write_table

pytestmark = pytest.mark.slow


@pytest.fixture
def forged(bundles, tmp_path, videos):
    """Return a function that copies a bundle, changes files in it, and asserts that its use is an error."""

    def forge(model, message, change, facts=lambda facts: facts):
        folder = shutil.copytree(bundles[model].folder, tmp_path / "inside" / model)
        change(folder)
        repack(folder, facts)
        with pytest.raises(ValueError, match=message) as error, clipfold.load(folder) as bundle:
            bundle.predict(next(iter(videos.values())), workers=1)
        assert "Traceback" not in str(error.value)

    return forge


def of_record(change, place="fits/0/fit.json"):
    def edit(folder):
        record = json.loads((folder / place).read_text())
        (folder / place).write_text(json.dumps(change(record)))

    return edit


def nothing(folder):
    pass


@pytest.mark.parametrize("module", ["os", "clipfold.cli", "clipfold.models.architectures.svm.x", "../x", "antigravity"])
@pytest.mark.parametrize("model", [FEATURES, CLIPS])
def test_only_our_architectures_are_imported(forged, model, module):
    forged(model, "architecture", of_record(lambda record: record | {"architecture": module}))


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (FEATURES, {"features": None}),
        (FEATURES, {"features": ["motion.secret"]}),
        (CLIPS, {"settings": {}}),
        (CLIPS, {"micro_batch": -1}),
        (CLIPS, {"embedded": True}),
        (EMBEDDINGS, {"encoder": "vit"}),
        (EMBEDDINGS, {"seed": "now"}),
        (EMBEDDINGS, {"embedded": False}),
    ],
)
def test_a_record_with_a_wrong_value_is_refused(forged, model, changes):
    forged(model, "fits/0 cannot be used", of_record(lambda record: record | changes))


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "0123456789abcdef.pt", None, 3, ["a"]])
def test_the_encoder_is_a_file_of_the_bundle(forged, name):
    forged(
        EMBEDDINGS,
        "encoder.file is",
        of_record(lambda record: record | {"encoder": record["encoder"] | {"file": name}}),
    )


@pytest.mark.parametrize("weights", ["pretrained", "/etc/passwd"])
def test_weights_are_neither_read_elsewhere_nor_downloaded(forged, weights, monkeypatch):
    def look(*_):
        raise AssertionError("it was looked for")

    monkeypatch.setattr("clipfold.models.weights.find_weights", look)
    monkeypatch.setattr("clipfold.models.library_encoders.find_weights", look)

    def change(record):
        encoder = {name: value for name, value in record["encoder"].items() if name != "file"} | {"sha256": None}
        return record | {"encoder": encoder, "settings": record["settings"] | {"weights": weights, "download": True}}

    forged(EMBEDDINGS, "encoder.file is None", of_record(change))


def test_members_are_not_searched_outside(forged, run):
    """A whole run lies where the ensemble would find its members."""

    def remove_members(folder):
        shutil.copytree(run.results / "models", folder.parent, dirs_exist_ok=True)
        members = [f"../{name}" for name in (FEATURES, CLIPS)]
        for number in range(2):
            shutil.rmtree(folder / f"fits/{number}/members")
            shutil.copytree(run.fit(FEATURES, number), folder.parent / FEATURES / str(number))
            shutil.copytree(run.fit(CLIPS, number), folder.parent / CLIPS / str(number))
            place = f"fits/{number}/"
            (folder / place / "model.json").write_text(json.dumps({"weights": dict.fromkeys(members, 0.5)}))
            of_record(lambda r: r | {"settings": {"members": members}}, f"{place}fit.json")(folder)

    forged(ENSEMBLE, "members has no ../", remove_members)


def test_an_ensemble_of_itself_ends(forged):
    def change(folder):
        target = folder / f"fits/0/members/{CLIPS}"
        shutil.rmtree(target)
        target.mkdir()
        for name in ("fit.json", "model.json"):
            shutil.copy(folder / "fits/0" / name, target)

    forged(ENSEMBLE, "fits/0 cannot be used", change)


def of_weights(change):
    def edit(folder):
        path = folder / "fits/0/model.safetensors"
        save_file(change(load_file(path)), path)

    return edit


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {key: value[..., :1].contiguous() for key, value in state.items() if value.ndim},
        lambda state: {key: value for key, value in state.items() if "weight" not in key},
        lambda state: {key: value * float("nan") for key, value in state.items()},
        lambda state: {key: value.long() for key, value in state.items()},
    ],
)
@pytest.mark.parametrize("model", [CLIPS, EMBEDDINGS])
def test_weights_of_another_network_are_refused(forged, model, change):
    forged(model, "fits/0 cannot be used.*weights is", of_weights(change))


def test_a_network_larger_than_its_weights_is_never_built(forged):
    """A network of this width would take 80 TB."""
    forged(
        CLIPS,
        "has another shape for",
        of_record(lambda record: record | {"settings": record["settings"] | {"width": 1_000_000}}),
    )


def test_a_model_with_code_of_others_is_refused(forged, tmp_path):
    """The file names a function that would run when the model predicts."""

    def change(folder):
        write_fitted(folder / "fits/0/model.skops", FunctionTransformer(shutil.rmtree))

    forged(FEATURES, r"fits/0 cannot be used \(UntrustedTypes.*shutil", change)


@pytest.mark.parametrize("content", [b"", b"\x80\x04cos\nsystem\n.", b"PK\x03\x04"])
@pytest.mark.parametrize(("model", "file"), [(FEATURES, "model.skops"), (CLIPS, "model.safetensors")])
def test_pickles_and_rubbish_are_no_model(forged, model, file, content):
    forged(model, "fits/0 cannot be used", lambda folder: (folder / "fits/0" / file).write_bytes(content))


def test_what_is_no_classifier_is_refused(forged):
    forged(FEATURES, "fits/0 cannot be used", lambda folder: write_fitted(folder / "fits/0/model.skops", {"a": 1}))


def test_a_model_without_a_number_is_refused(forged):
    def change(folder):
        path = folder / "fits/0/members" / CLIPS / "model.safetensors"
        state = load_file(path)
        save_file({k: v * 1e30 if v.is_floating_point() else v for k, v in state.items()}, path)

    forged(ENSEMBLE, "fits/0 cannot be used.*must be in", change)


def test_other_classes_than_the_description_names_are_refused(forged):
    forged(FEATURES, "classes is", of_record(lambda record: record | {"classes": ["tampered", "real"]}))


# The description


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probe": {"min_frame": 2}}, r"probe\.min_frame is not a key"),
        ({"probe": {"timeout_s": "1"}}, r"probe\.timeout_s is '1': use a number"),
        ({"policy": {"missing": "use"}}, r"policy\.missing is 'use'"),
        ({"decode": {"views": 3}}, r"decode\.views is 3"),
        ({"decode": {"size": 112, "views": {"clips": 3}}}, r"decode\.views\.clips is 3: use a mapping of kind"),
        ({"decode": {"size": 112, "views": {"../clips": {"kind": "uniform"}}}}, "keep a view named 'clips'"),
        ({"decode": {"size": 112, "views": {"clips": {"kind": "uniform", "frames": 10**12}}}}, "bytes a video"),
        ({"decode": {"size": 112, "views": {"clips": {"kind": "uniform", "frames": 16}}}}, "it needs"),
    ],
)
def test_wrong_settings_are_refused(forged, changes, message):
    forged(FEATURES, message, nothing, lambda facts: facts | changes)


# The reference


def rewritten(change):
    def edit(folder):
        table = read_table(folder / "reference.parquet")
        write_table(folder / "reference.parquet", change(table))

    return edit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["group"]), "columns is"),
        (lambda table: table.drop_columns(["input.fps"]), "columns is"),
        (lambda table: table.append_column("input.evil", table["input.fps"]), "columns is"),
        (lambda table: table.append_column("input.fps", table["input.fps"]), "columns is"),
        (
            lambda table: table.set_column(
                table.schema.get_field_index("input.fps"), "input.fps", table["input.fps"].cast(pa.string())
            ),
            "input.fps is 'string': it must hold numbers",
        ),
        (lambda table: table.slice(0, 0), "number of rows is 0"),
        (lambda table: table.slice(0, 1), "number of groups is 1"),
        (lambda table: pa.concat_tables([table] * 1000), "number of rows is 14000: at most 2000"),
    ],
)
def test_a_reference_that_is_none_is_refused(forged, change, message):
    forged(FEATURES, message, rewritten(change))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_a_damaged_reference_is_refused(forged, content):
    forged(
        FEATURES,
        r"reference\.parquet cannot be used",
        lambda folder: (folder / "reference.parquet").write_bytes(content),
    )


@pytest.mark.parametrize("change", [lambda file: file.unlink(), lambda file: file.write_bytes(b"\xff")])
def test_a_list_of_training_videos_that_is_none_is_refused(forged, change):
    forged(FEATURES, r"training\.txt cannot be used", lambda folder: change(folder / "training.txt"))


def test_a_million_rows_are_not_read(forged):
    """A few KB of Parquet can hold any number of rows."""

    def change(folder):
        table = read_table(folder / "reference.parquet").slice(0, 1)
        with pq.ParquetWriter(folder / "reference.parquet", table.schema) as writer:
            for _ in range(3):
                writer.write_table(pa.concat_tables([table] * 1000).combine_chunks())

    forged(FEATURES, "number of rows is 3000", change)
