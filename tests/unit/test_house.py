"""The lines between the rooms: which may import which, and what a Snakemake start may load."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/clipfold"
MODULES = sorted(PACKAGE.rglob("*.py"))
PARSE_TIME = [
    "checks",
    "clips.presets",
    "config",
    "plan",
    "features.registry",
    "image.frames",
    "image.source",
    "settings",
    "manifest.read",
    "manifest.names",
    "manifest.paths",
    "manifest.segments",
    "manifest.shards",
    "manifest.table",
    "models.catalog",
    "models.entries",
    "models.hub_folder",
    "models.model",
    "resources.estimate",
    "resources.forecast",
    "resources.gpus",
    "resources.usage",
    "splits.feasibility",
    "storage.fingerprint",
    "storage.integrity",
    "storage.hashing",
    "storage.layout",
    "storage.members",
    "storage.records",
    "storage.replace",
    "status",
    "table.columns",
    "video.views",
]


def imported(path, lazy=True):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if lazy else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_package_knows_no_snakemake():
    assert [m for m in MODULES if any(name.split(".")[0] == "snakemake" for name in imported(m))] == []


def test_only_the_video_folder_and_the_demo_know_pyav():
    knows = {m.relative_to(PACKAGE).parts[0] for m in MODULES if any(n.split(".")[0] == "av" for n in imported(m))}
    assert knows == {"video", "demo"}


def test_no_pickle():
    assert [m for m in MODULES if {"pickle", "joblib", "cloudpickle"} & set(imported(m))] == []
    loads = [m for m in MODULES if re.search(r"torch\.load\((?![^)]*weights_only=True)", m.read_text())]
    assert loads == []


@pytest.mark.parametrize("module", PARSE_TIME)
def test_what_a_snakemake_start_imports_is_standard_library_only(module):
    code = f"import sys; before = set(sys.modules); import clipfold.{module}; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    outside = {m.split(".")[0] for m in loaded} - set(sys.stdlib_module_names) - {"clipfold"}
    assert outside == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "library"),
    [
        ("clipfold.training.on_features", "torch"),
        ("clipfold.training.on_features", "pytest"),
        ("clipfold.explain.on_features", "torch"),
        ("clipfold.training.on_clips", "torchvision"),
        ("clipfold.training.on_clips", "sklearn"),
        ("clipfold.models.embed", "transformers"),
        ("clipfold.models.frozen", "transformers"),
    ],
)
def test_jobs_load_no_library_that_only_others_need(module, library):
    """Each takes seconds and hundreds of MB of every job."""
    code = f"import sys, {module}; sys.exit({library!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_import_cycles():
    dotted = {m: ".".join(m.relative_to(PACKAGE.parent).with_suffix("").parts) for m in MODULES}
    names = {m: name.removesuffix(".__init__") for m, name in dotted.items()}
    graph = {names[m]: {n for n in imported(m) if n in names.values() and n != names[m]} for m in MODULES}
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for below in graph[name]:
                visit(below)
            path.pop()
            done.add(name)

    for name in graph:
        visit(name)


def test_scripts_are_thin_adapters_of_rules_of_the_same_name():
    rules = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    for script in sorted((ROOT / "workflow/scripts").glob("*.py")):
        assert len(script.read_text().splitlines()) <= 25, script
        assert f'"../workflow/scripts/{script.name}"' in rules
        assert "__future__" not in script.read_text()  # a SyntaxError under Snakemake, which puts code before it


def test_rules_know_no_heavy_library():
    for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]:
        assert not re.search(r"^\s*(import|from) (torch|numpy|pandas|av|cv2|sklearn)", path.read_text(), re.M)
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 60


def test_conda_environments_agree_with_the_lock():
    lock = (ROOT / "requirements.lock").read_text()
    pins = [pin for env in (ROOT / "envs").glob("*.yaml") for pin in re.findall(r"- (\S+==\S+)", env.read_text())]
    assert len(pins) > 10
    assert [pin for pin in pins if not re.search(rf"^{re.escape(pin)}\b", lock, re.M)] == []


def test_each_folder_of_results_is_named_once():
    from clipfold.storage.layout import RESULTS

    rules = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    written = set(re.findall(r"results/(\w+)/", rules))
    assert written == {*RESULTS}


def test_what_benchmarks_import_from_the_package_is_there():
    missing = []
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("clipfold"):
                module = importlib.import_module(str(node.module))
                missing += [
                    f"{path.name}: {module.__name__}.{each.name}" for each in node.names if _lacks(module, each.name)
                ]
    assert missing == []


def _lacks(module, name):
    return not hasattr(module, name) and importlib.util.find_spec(f"{module.__name__}.{name}") is None
