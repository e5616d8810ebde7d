"""One small finished run, with bundles, that the tests of delivery start from."""

import pytest


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A finished run. Not to be changed. It was moved after its end: no path that it wrote leads anywhere."""
    from helpers.finished_run import Run, make_run  # all of clipfold, which a machine for tests of GPUs may lack
    from helpers.sharing import made_once

    def make(root):
        make_run(root / "where it was trained")
        (root / "where it was trained").rename(root / "kept")

    return Run(made_once(tmp_path_factory, "finished run", make) / "kept")


@pytest.fixture(scope="session")
def bundles(run):
    """The opened bundle of each model of the run, by name."""
    from helpers.finished_run import MODELS

    import clipfold

    opened = {model: clipfold.load(run.bundle(model)) for model in MODELS}
    yield opened
    for bundle in opened.values():
        bundle.close()


@pytest.fixture(scope="session")
def videos(run):
    """Name -> path of the videos of the run that can be used."""
    return {path.name: path for path in sorted((run.folder / "videos").iterdir()) if path.name not in DAMAGED}


DAMAGED = {"01-harbour-1.mp4", "02-main street-2.mp4"}
