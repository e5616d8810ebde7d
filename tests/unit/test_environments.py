"""Test that what a rule's conda environment holds is what its script imports."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "sklearn": "scikit-learn", "PIL": "pillow", "faiss": "faiss-cpu"}
RULES = [
    pair
    for rules in sorted((ROOT / "rules").glob("*.smk"))
    for pair in re.findall(r'"\.\./envs/([\w.]+)".*?scripts/(\w+)\.py"', rules.read_text(), re.S)
]


@cache
def imports(path):
    tree = ast.parse(path.read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def file_of(module):
    path = ROOT / "src" / module.replace(".", "/")
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def needed(script):
    """Third-party modules that a script loads, directly or through the package; a model's are loaded by name."""
    todo = [script, *((ROOT / "src/clipfold/models").rglob("*.py") if script.stem == "train" else [])]
    todo += (ROOT / "src/clipfold/training").glob("on_*.py") if script.stem == "train" else []
    seen, outside = set(), set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in imports(path):
            top = module.split(".")[0]
            if top == "clipfold":
                todo += [p for p in [file_of(module)] if p]
            elif top not in sys.stdlib_module_names:
                outside.add(DISTRIBUTIONS.get(top, top))
    return outside


@pytest.mark.parametrize(("environment", "script"), RULES)
def test_an_environment_has_what_its_rules_import(environment, script):
    held = set(re.findall(r"- ([\w-]+)==", (ROOT / "envs" / environment).read_text()))
    assert needed(ROOT / f"workflow/scripts/{script}.py") - held == set()


def test_every_script_is_tested_here():
    assert {script for _, script in RULES} == {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}


def test_both_images_are_made_in_the_same_way_and_of_a_python_that_is_supported():
    texts = [(ROOT / "envs" / name).read_text() for name in ("Dockerfile", "apptainer.def")]
    (command,) = {re.search(r"uv pip install .*", text)[0] for text in texts}
    assert command.endswith("--require-hashes --compile-bytecode --requirement /requirements.lock")
    ((_, minor),) = {tuple(map(int, re.search(r"python:(\d+)\.(\d+)-", text).groups())) for text in texts}
    assert 11 <= minor <= 13
