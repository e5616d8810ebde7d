"""One finished run that the tests start from."""

import compileall
import shutil
from pathlib import Path

import pytest
from helpers.harness import PARTS, PROJECT, Workflow, make_data
from helpers.sharing import made_once

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


def make_run(root: Path) -> None:
    """Run the whole workflow once, on data made for it."""
    (root / "the project").mkdir(parents=True)
    for part in PARTS:
        copy = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy2
        copy(PROJECT / part, root / "the project" / part)
    compileall.compile_dir(root / "the project/src", quiet=1)  # else every job would, where Python may write none
    workflow = Workflow(root / "the project", root / "work here")
    workflow.directory.mkdir()
    make_data(workflow.directory)
    hook = root / "the project/src/sitecustomize.py"
    hook.write_text(NOTE_OPENED.format(log=str(workflow.opened)))
    workflow.run()
    hook.unlink()


def copied(source: Path, root: Path) -> Workflow:
    shutil.copytree(source, root, symlinks=True)  # keeps the times of modification
    return Workflow(root / "the project", root / "work here")


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Path:
    """A complete run in which nothing is run again: one for all workers, made by the first that needs it."""
    return made_once(tmp_path_factory, "original", make_run)


@pytest.fixture(scope="session")
def finished(original, tmp_path_factory) -> Workflow:
    """A complete run. Not to be changed: tests that do take `workflow`."""
    return copied(original, tmp_path_factory.mktemp("finished") / "copy")


@pytest.fixture
def workflow(original, tmp_path) -> Workflow:
    """A copy of the finished run that a test may change."""
    return copied(original, tmp_path / "copy")
