"""A real SLURM, and the project on it."""

import shutil
from pathlib import Path

import pytest
from helpers.cluster import Cluster, missing
from helpers.slurm_run import Run

from clipfold.demo.write import make_demo


@pytest.fixture(scope="session")
def cluster():
    reason = missing()
    if reason:
        pytest.skip(reason)
    running = Cluster().start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_demo(folder, sources=4)
    return folder


@pytest.fixture
def run(cluster, data, tmp_path) -> Run:
    """An empty working directory with the demo's videos."""
    shutil.copytree(data, tmp_path / "work")
    running = Run(tmp_path / "work")
    yield running
    cluster.do("scancel", "--user=root")


@pytest.fixture(scope="session")
def prepared(cluster, data, tmp_path_factory) -> Run:
    """All data jobs are done, on this machine: what tests of training start from. Not to be changed."""
    folder = tmp_path_factory.mktemp("prepared") / "work"
    shutil.copytree(data, folder)
    Run(folder).finish("--until", "splits", "features", "resize", "augment", profile="local")
    return Run(folder)


@pytest.fixture
def trained(cluster, prepared, tmp_path) -> Run:
    """A copy of the prepared directory, without any training yet."""
    shutil.copytree(prepared.directory, tmp_path / "work")
    yield Run(tmp_path / "work")
    cluster.do("scancel", "--user=root")
