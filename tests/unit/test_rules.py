"""Test what every rule declares, whatever stage it runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def rules(text):
    """Rules as blocks of text: a line that begins one, and the lines that are indented further."""
    block, depth = [], None
    for line in [*text.splitlines(), "end"]:
        indent = len(line) - len(line.lstrip())
        if block and line.strip() and indent <= depth:
            yield "\n".join(block)
            block = []
        if re.match(r" *(rule|checkpoint)\b[^#]*:$", line):
            block, depth = [line], indent
        elif block:
            block.append(line)


def directives(rule):
    """Names of a rule's directives with what stands below them."""
    _, *lines = rule.splitlines()
    depth = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    parts = re.split(rf"^ {{{depth}}}(\w+):", "\n".join(lines), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


FOUND = [
    (path, directives(rule))
    for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    for rule in rules(path.read_text())
]
SCRIPTED = [(path.stem, found) for path, found in FOUND if "script" in found]


def test_every_script_belongs_to_a_rule_found_here():
    named = {re.search(r'scripts/(\w+)\.py"', found["script"])[1] for _, found in SCRIPTED}
    assert named == {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}


def test_no_rule_runs_code_that_no_fingerprint_covers():
    assert {"run", "shell", "notebook", "wrapper"} & {name for _, found in FOUND for name in found} == set()


@pytest.mark.parametrize(("name", "found"), SCRIPTED, ids=[name for name, _ in SCRIPTED])
def test_a_rule_with_a_script_is_run_again_when_its_code_changes(name, found):
    """Snakemake compares `params`: the fingerprint of the script and of all that it imports has to be one of them."""
    assert re.search(r"^\s*code=\w+\(", found["params"], re.M)


@pytest.mark.parametrize(("name", "found"), SCRIPTED, ids=[name for name, _ in SCRIPTED])
def test_a_rule_with_a_script_has_a_log_a_benchmark_and_resources(name, found):
    assert {"output", "log", "benchmark", "threads", "resources"} <= found.keys()
