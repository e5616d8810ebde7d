"""The workflow on a real SLURM: it asks for what it needs, and survives what clusters do."""

import re
import shutil
import signal

import pytest
from helpers.slurm_run import LIGHT, Run, wait_for

pytestmark = pytest.mark.slurm

LONG = LIGHT | {"name": "long", "epochs": 400, "patience": 400, "checkpoint_epochs": 0, "checkpoint_minutes": 0.0}
FOLD = "results/models/long/fold-0/predictions.parquet"


def tres(job):
    return dict(pair.split("=") for pair in job["ReqTRES"].split(","))


def log_of(run, rule="train_long"):
    return (run.directory / f"logs/{rule}/fold-0.log").read_text()


def going_on(run):
    """The step at which a training went on, as its log says."""
    return re.search(r"resuming at epoch (\d+)", log_of(run))


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory):
    """The weights and predictions of the long training when nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed") / "work"
    shutil.copytree(prepared.directory, folder)
    calm = Run(folder)
    calm.finish(FOLD, profile="local", models=[LONG])
    return calm.results()


def test_each_model_asks_for_its_own_memory_processors_and_partition(run, cluster):
    run.finish()
    assert (run.directory / "results/report/index.html").exists()
    jobs = cluster.jobs("Comment", "Partition", "ReqTRES", "TimelimitRaw", "State", "WorkDir")
    mine = [job for job in jobs if job["WorkDir"] == str(run.directory)]
    asked = {job["Comment"].partition("_wildcards")[0]: job for job in mine}
    models = {name: asked[f"rule_train_{name}"] for name in ("logistic_regression", "svm", "naive_cnn")}
    assert {name: job["Partition"] for name, job in models.items()} == {
        "logistic_regression": "cpu",
        "svm": "cpu",
        "naive_cnn": "gpu",
    }
    assert [tres(job).get("gres/gpu") for job in models.values()] == [None, None, "1"]
    assert [tres(job)["mem"] for job in models.values()] == ["2000M", "1200M", "4000M"]
    assert [tres(job)["cpu"] for job in models.values()] == ["1", "1", "2"]
    assert [job["TimelimitRaw"] for job in models.values()] == ["30", "7", "240"]
    assert {job["State"] for job in mine} == {"COMPLETED"}
    assert not {"rule_splits", "rule_report"} & asked.keys()
    # Data jobs of the one shard, the evaluation and the bundle; of each model two folds and the explanation.
    assert len(mine) == 10 + 3 * 3


def test_a_job_over_its_memory_is_killed_and_finishes_with_more(trained, cluster):
    """PyTorch alone takes more than the first attempt is given."""
    small = LIGHT | {"name": "small", "memory_mb": 500}
    target = "results/models/small/fold-0/predictions.parquet"
    trained.finish(target, models=[small])
    jobs = [j for j in cluster.jobs("ReqTRES", "State", "WorkDir", "Comment") if j["WorkDir"] == str(trained.directory)]
    assert [tres(job)["mem"] for job in jobs] == ["500M", "1000M", "1500M"][: len(jobs)]
    assert len(jobs) > 1
    assert [job["State"] for job in jobs][-1] == "COMPLETED"
    assert all(re.match("FAILED|OUT_OF_MEMORY|CANCELLED", job["State"]) for job in jobs[:-1])
    assert (trained.directory / target).exists()


def started(run, cluster):
    """The id of the job, when its training has come some way."""
    job = wait_for(lambda: cluster.running("train_long"))
    log = run.directory / "logs/train_long/fold-0.log"
    wait_for(lambda: log.exists() and "epoch 20 of" in log.read_text())
    return job


def test_a_cancelled_training_goes_on_to_the_same_bits(trained, cluster, undisturbed):
    driver = trained.start(FOLD, models=[LONG])
    cluster.do("scancel", started(trained, cluster))
    assert driver.wait(timeout=300) == 0, trained.said()[-4000:]
    assert int(going_on(trained)[1]) >= 20
    assert trained.results() == undisturbed


def test_near_its_time_limit_a_training_writes_a_checkpoint_and_goes_on(trained, cluster, undisturbed):
    driver = trained.start(FOLD, models=[LONG])
    job = started(trained, cluster)
    # SLURM looks at time limits every 30 s only: the job waits for it, and SLURM wakes it when it warns.
    cluster.do("scancel", "--signal=STOP", job)
    cluster.do("scontrol", "update", f"JobId={job}", "TimeLimit=2")
    assert driver.wait(timeout=300) == 0, trained.said()[-4000:]
    states = {job["JobIDRaw"]: job["State"] for job in cluster.jobs("State")}
    assert states[job] == "FAILED"  # it ended by itself; a job that is caught by its limit is a TIMEOUT
    assert int(going_on(trained)[1]) >= 20  # from a checkpoint, which this model writes only if a signal asks for it
    assert trained.results() == undisturbed


def test_a_preempted_training_is_queued_again_and_goes_on(trained, cluster, undisturbed):
    driver = trained.start(FOLD, models=[LONG])
    job = started(trained, cluster)
    cluster.do("sbatch", "--partition=urgent", "--exclusive", "--mem=1000", "--output=/dev/null", "--wrap=sleep 1")
    assert driver.wait(timeout=500) == 0, trained.said()[-4000:]
    states = [j["State"] for j in cluster.jobs("State") if j["JobIDRaw"] == job]
    assert states[0] == "PREEMPTED"
    assert int(going_on(trained)[1]) >= 20
    assert trained.results() == undisturbed


def test_a_killed_drivers_jobs_are_cancelled_before_the_next_run(trained, cluster, undisturbed):
    driver = trained.start(FOLD, models=[LONG])
    orphan = started(trained, cluster)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert cluster.running("train_long") == orphan
    trained.finish("--unlock", models=[LONG])
    said = trained.finish(FOLD, models=[LONG])
    assert f"cancelling 1 SLURM jobs of an earlier run in .: {orphan}" in said
    jobs = {job["JobIDRaw"]: job["State"] for job in cluster.jobs("State")}
    assert jobs[orphan].startswith("CANCELLED")
    assert int(going_on(trained)[1]) >= 20
    assert trained.results() == undisturbed


def test_jobs_may_work_on_their_nodes_own_disk(run, undisturbed, tmp_path):
    """The block of the profile for a scratch folder, switched on."""
    shared = ["persistence", "software-deployment", "sources", "source-cache"]
    scratch = ["--default-storage-provider", "fs", "--local-storage-prefix", str(tmp_path / "scratch")]
    run.finish(FOLD, *scratch, "--shared-fs-usage", *shared, models=[LONG])
    assert run.results() == undisturbed
    assert (tmp_path / "scratch/fs").is_dir()
