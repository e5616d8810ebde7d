"""One finished run that the tests start from."""

import shutil

import pytest
from helpers.harness import PARTS, PROJECT, Workflow, make_data

# Python imports `sitecustomize` from the path on its start: every job notes which videos it opens.
NOTE_OPENED = """
import os, pathlib, sys
def note(event, args):
    path = args[0] if event == "open" else None
    if isinstance(path, str) and path.endswith((".mp4", ".mkv", ".avi", ".webm")):
        log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{{pathlib.Path(sys.argv[0]).name.split('.')[-2]}}\t{{os.path.basename(path)}}\\n".encode())
        os.close(log)
if sys.argv[0:] and ".snakemake/scripts/" in sys.argv[0]:
    sys.addaudithook(note)
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A complete run. Not to be changed: tests that do take `workflow`."""
    root = tmp_path_factory.mktemp("finished")
    (root / "the project").mkdir()
    for part in PARTS:
        copy = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy2
        copy(PROJECT / part, root / "the project" / part)
    workflow = Workflow(root / "the project", root / "work here")
    workflow.directory.mkdir()
    make_data(workflow.directory)
    hook = root / "the project/src/sitecustomize.py"
    hook.write_text(NOTE_OPENED.format(log=str(workflow.opened)))
    workflow.run()
    hook.unlink()
    return workflow


@pytest.fixture
def workflow(finished, tmp_path) -> Workflow:
    """A copy of the finished run that a test may change."""
    root = tmp_path / "copy"
    shutil.copytree(finished.project.parent, root, symlinks=True)  # keeps the times of modification
    return Workflow(root / "the project", root / "work here")
