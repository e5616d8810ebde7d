"""Jobs side by side never share a GPU; the devices are names, the processes and locks are real."""

import os
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import pytest

from clipfold.resources.gpus import Gpu, reserve_gpus, visible_gpus

JOB = """
import os, sys, time
from pathlib import Path
from clipfold.resources.gpus import reserve_gpus
with reserve_gpus(int(sys.argv[1]), "logs/fit.log", Path(sys.argv[2]), fits_per_gpu=int(sys.argv[4])):
    began = time.monotonic()
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    time.sleep(float(sys.argv[3]))
    print(began, time.monotonic())
"""


def job(count, folder, seconds=0.3, fits=1, **environment):
    command = [sys.executable, "-c", JOB, str(count), str(folder), str(seconds), str(fits)]
    given = {"CUDA_VISIBLE_DEVICES": "0,GPU-4f"} | environment
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | given)


@pytest.mark.slow
def test_jobs_side_by_side_each_have_their_own_device(tmp_path):
    jobs = [job(count, tmp_path) for count in (1, 1, 2, 1, 1, 2)]
    uses = []
    for process in jobs:
        devices, times = process.communicate(timeout=60)[0].splitlines()
        uses.append(({*devices.split(",")}, *map(float, times.split())))
    assert {frozenset(names) for names, _, _ in uses} >= {frozenset({"0", "GPU-4f"})}
    for (names, began, ended), (others, other_began, other_ended) in combinations(uses, 2):
        assert not names & others or ended <= other_began or other_ended <= began
    assert set().union(*(names for names, _, _ in uses)) == {"0", "GPU-4f"}


def test_fits_that_allow_it_share_a_device_and_others_wait(tmp_path):
    def sharing(seconds):
        return job(1, tmp_path, seconds, fits=2, CUDA_VISIBLE_DEVICES="0")

    two = [sharing(600), sharing(600)]
    assert [each.stdout.readline() for each in two] == ["0\n", "0\n"]
    waiting = {"third": sharing(0), "alone": job(1, tmp_path, 0, CUDA_VISIBLE_DEVICES="0")}
    time.sleep(1)
    assert [each.poll() for each in waiting.values()] == [None, None]
    two[0].kill()
    assert waiting["third"].communicate(timeout=30)[0].startswith("0\n")
    assert waiting["alone"].poll() is None
    two[1].kill()
    assert waiting["alone"].communicate(timeout=30)[0].startswith("0\n")
    for each in two:
        each.wait()


def test_fits_that_allow_another_number_do_not_share(tmp_path):
    two = job(1, tmp_path, 600, fits=2, CUDA_VISIBLE_DEVICES="0")
    assert two.stdout.readline() == "0\n"
    three = job(1, tmp_path, 0, fits=3, CUDA_VISIBLE_DEVICES="0")
    time.sleep(1)
    assert three.poll() is None
    two.kill()
    assert three.communicate(timeout=30)[0].startswith("0\n")
    two.wait()


def test_a_fit_that_shares_leaves_devices_without_a_place_alone(tmp_path):
    """It tries each in turn, and must not keep others from what it could not have."""
    full = [job(1, tmp_path, 600, fits=2, CUDA_VISIBLE_DEVICES="0") for _ in range(2)]
    assert [each.stdout.readline() for each in full] == ["0\n", "0\n"]
    beside = job(1, tmp_path, 600, fits=2)
    assert beside.stdout.readline() == "GPU-4f\n"
    for each in full:
        each.kill()
        each.wait()
    alone = job(1, tmp_path, 0, CUDA_VISIBLE_DEVICES="0")
    assert alone.communicate(timeout=30)[0].startswith("0\n")
    beside.kill()
    beside.wait()


def test_a_killed_job_frees_its_device(tmp_path):
    holder = job(2, tmp_path, seconds=600)
    assert holder.stdout.readline() == "0,GPU-4f\n"
    waiting = job(1, tmp_path, seconds=0)
    time.sleep(0.5)
    assert waiting.poll() is None
    holder.kill()
    assert waiting.communicate(timeout=30)[0].startswith("0\n")
    holder.wait()


def test_the_environment_is_as_before(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with reserve_gpus(1, "logs/fit.log", tmp_path) as mine:
        assert mine == [os.environ["CUDA_VISIBLE_DEVICES"]] == ["3"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"


@pytest.mark.parametrize("hidden", ["", "-1", "NoDevFiles"])
def test_a_machine_whose_devices_are_hidden_has_none_to_wait_for(hidden, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    with reserve_gpus(1, "logs/fit.log", tmp_path) as mine:
        assert mine == visible_gpus() == []
        assert os.environ["CUDA_VISIBLE_DEVICES"] == hidden
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_asks_for_no_device_sees_none(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with reserve_gpus(0, "logs/fit.log", tmp_path) as mine:
        assert mine == []
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert list(tmp_path.iterdir()) == []


def test_fits_within_one_slurm_job_share_its_devices_and_no_others(tmp_path, monkeypatch):
    """As with profiles/local on a node of `salloc`; each SLURM job numbers its own devices from 0."""
    holder = job(1, tmp_path, seconds=600, SLURM_JOB_ID="7", CUDA_VISIBLE_DEVICES="0,1")
    assert holder.stdout.readline() == "0\n"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    for number, expected in (("7", ["1"]), ("8", ["0"])):
        monkeypatch.setenv("SLURM_JOB_ID", number)
        with reserve_gpus(1, "logs/fit.log", tmp_path) as mine:
            assert mine == expected
    holder.kill()
    holder.communicate()


def machine(folder, *names):
    for name in ("null", "nvidiactl", "nvidia-uvm", *names):
        (folder / name).touch()
    return folder


def test_without_a_choice_all_devices_count_and_are_named_by_their_place(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    several = machine(tmp_path, *(f"nvidia{number}" for number in (10, 2, 0)))
    assert visible_gpus(several) == [Gpu("0", "0"), Gpu("1", "2"), Gpu("2", "10")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 0,GPU-4f,-1,1")
    assert visible_gpus(several) == [Gpu("2", "10"), Gpu("0", "0"), Gpu("GPU-4f", "GPU-4f")]


@pytest.mark.parametrize(("file", "lock"), [("nvidia3", "3"), ("dxg", "dxg")])
def test_a_container_that_was_given_one_device_of_several_calls_it_0(file, lock, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(machine(tmp_path, file)) == [Gpu("0", lock)]


def test_a_container_without_a_device_has_none(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(machine(tmp_path)) == []


def test_who_waits_learns_who_holds_the_device_and_does_not_wait_for_ever(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-4f")
    holder = job(1, tmp_path, seconds=600)
    assert holder.stdout.readline() == "0\n"
    expected = rf"waited .* for 2 of the GPUs 0, GPU-4f, held by process {holder.pid} \(logs/fit.log\): end these jobs"
    with pytest.raises(ValueError, match=expected), reserve_gpus(2, "logs/other.log", tmp_path, patience=0.1):
        pass
    assert f"waiting for 2 of the GPUs 0, GPU-4f, held by process {holder.pid} (logs/fit.log)" in caplog.text
    holder.kill()
    holder.communicate()


def shared(folder):
    folder.mkdir()
    folder.chmod(0o777)


def linked(folder):
    (folder.parent / "other").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "other")


@pytest.mark.parametrize("make", [shared, linked, Path.touch])
def test_a_folder_of_locks_that_others_may_have_made_is_refused(tmp_path, monkeypatch, make):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make(tmp_path / f"clipfold-{os.getuid()}")
    with pytest.raises(ValueError, match="is not a folder of yours alone: remove it"), reserve_gpus(1, "logs/fit.log"):
        pass


def test_a_lock_file_is_not_opened_through_a_link(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    (tmp_path / "victim").write_text("theirs")
    (tmp_path / "gpu-0.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"gpu-0\.lock"), reserve_gpus(1, "logs/fit.log", tmp_path):
        pass
    assert (tmp_path / "victim").read_text() == "theirs"


def test_locks_are_this_users_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with reserve_gpus(1, "logs/fit.log"):
        found = {path.relative_to(tmp_path).name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert found == {f"clipfold-{os.getuid()}": 0o700, "gpu-0.lock": 0o600}
