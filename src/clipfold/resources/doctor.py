"""Look at a machine: what is there, what is missing, and how to get it."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from clipfold.resources.gpus import visible_gpus

NEEDED = ("clipfold", "av", "numpy", "opencv-python-headless", "pandas", "pyarrow", "scikit-learn", "skops", "torch")
WORKFLOW = ("snakemake", "snakemake-executor-plugin-slurm")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at.

    Args:
        name: What.
        found: What was found.
        remedy: What to do about it; empty if all is well.
    """

    name: str
    found: str
    remedy: str = ""


def examine(folder: Path) -> Iterator[Finding]:
    """Look at this machine.

    Args:
        folder: Where results are to be written.
    """
    yield Finding("Python", platform.python_version())
    for package in NEEDED:
        found = _version(package)
        yield Finding(package, found or "missing", "" if found else f"pip install {package}")
    for package in WORKFLOW:
        found = _version(package)
        remedy = "" if found else "needed only to train: pip install 'clipfold[workflow]'"
        yield Finding(package, found or "missing", remedy)
    yield from _decoders()
    yield from _gpus()
    yield Finding("cores", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))
    yield _memory()
    free = shutil.disk_usage(folder).free / 1e9
    yield Finding("disk", f"{free:.0f} GB free in {folder}", "" if free > 10 else "results take about 3 MB per video")
    slurm = shutil.which("sbatch")
    yield Finding("SLURM", slurm or "not here", "" if slurm else "use profiles/local, or a login node of the cluster")


def _decoders() -> Iterator[Finding]:
    try:
        from clipfold.video.decoders import library_version, missing_decoders
    except ImportError:  # PyAV is missing, which is said already
        return
    missing = ", ".join(missing_decoders())
    remedy = f"no {missing}: install the wheel of av from PyPI" if missing else ""
    yield Finding("decoders", f"libavcodec {library_version()}", remedy)


def _gpus() -> Iterator[Finding]:
    there = visible_gpus()
    if not there:
        yield Finding("GPU", "none", "networks train on the processor")
        return
    try:
        import torch
    except ImportError:
        return
    works = torch.cuda.is_available()
    remedy = "" if works else f"PyTorch {torch.__version__} cannot use it: install a build for its driver"
    yield Finding("GPU", torch.cuda.get_device_name() if works else f"{len(there)} of them", remedy)


def _memory() -> Finding:
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Finding("memory", f"{gigabytes:.0f} GB", "" if gigabytes >= 4 else "jobs ask for up to 4 GB")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
