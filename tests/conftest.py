"""Set up what all tests share: one thread per process, no GPU, no deadlines, the longest files first."""

import os
import signal

# Workers share the cores: threads of their libraries would wait for each other, at several times the CPU time.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

# `make test &` hands down an ignored Ctrl-C, which a run that a test interrupts would ignore as well.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from hypothesis import HealthCheck, settings

# The machines that run property tests are shared, so that time says nothing.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config):
    """Hide GPUs from tests that do not ask for one: equal bits are promised for CPUs, and workers would share it."""
    if config.getoption("markexpr") != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(items):
    """Begin with the longest files, so that parallel workers end together."""
    weight = {}
    for item in items:
        marked = 100 * bool(item.get_closest_marker("workflow")) + bool(item.get_closest_marker("slow"))
        weight[item.path] = weight.get(item.path, 0) + marked
    items.sort(key=lambda item: -weight[item.path])
