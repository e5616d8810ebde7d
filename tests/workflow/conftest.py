"""One finished run that the tests start from."""

import shutil

import pytest
from harness import PARTS, PROJECT, Workflow, make_data


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A complete run. Not to be changed: tests that do take `workflow`."""
    root = tmp_path_factory.mktemp("finished")
    (root / "project").mkdir()
    for part in PARTS:
        copy = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy2
        copy(PROJECT / part, root / "project" / part)
    workflow = Workflow(root / "project", root / "work here")
    workflow.directory.mkdir()
    make_data(workflow.directory)
    workflow.run()
    return workflow


@pytest.fixture
def workflow(finished, tmp_path) -> Workflow:
    """A copy of the finished run that a test may change."""
    root = tmp_path / "copy"
    shutil.copytree(finished.project.parent, root, symlinks=True)  # keeps the times of modification
    return Workflow(root / "project", root / "work here")
