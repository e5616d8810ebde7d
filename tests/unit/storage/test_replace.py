"""Writes replace what is in their place, whole, and go through no link."""

import ast
import os
import re
import sys
from pathlib import Path

import pytest

from clipfold.resources.usage import Request, record_requests
from clipfold.storage.job import logged
from clipfold.storage.replace import create, replacing

PACKAGE = Path(sys.modules["clipfold"].__file__).parent


def write(path):
    with replacing(path) as file:
        file.write(b"new")


def write_requests(path):
    record_requests(path, [("decode", Request(memory_mb=1, runtime=1, threads=1, gpus=0))])


def write_log(path):
    with logged(str(path)):
        pass


@pytest.mark.parametrize("writer", [write, write_requests, write_log])
def test_links_in_place_of_an_output_or_of_its_temporary_file_are_not_followed(tmp_path, writer):
    victim, path = tmp_path / "victim", tmp_path / "results/out.json"
    victim.write_text("{}")
    path.parent.mkdir()
    for name in ("out.json", "out.part", ".out.json.part", f".out.json.{os.getpid()}.part"):
        (path.parent / name).symlink_to(victim)
    writer(path)
    assert victim.read_text() == "{}"
    assert path.is_file()
    assert not path.is_symlink()


def test_a_temporary_file_is_created_and_never_opened(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        create(tmp_path / "link")
    assert not (tmp_path / "victim").exists()


def test_no_two_temporary_files_have_the_same_name(tmp_path):
    names = set()
    for _ in range(3):
        with replacing(tmp_path / "a") as file:
            names.add(file.name)
    assert len(names) == 3


def test_a_folder_named_like_a_leftover_is_left_alone(tmp_path):
    (tmp_path / ".a.1.part").mkdir()
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / ".a.1.part").is_dir()


WRITES = {"write_text", "write_bytes", "savefig", "save_file", "to_csv", "to_parquet", "tofile", "savez"}
ELSEWHERE = {"demo", "storage/replace.py", "models/reference.py"}  # test videos, the function itself, our documents


def test_nothing_in_the_package_writes_in_another_way():
    found = []
    for module in sorted(PACKAGE.rglob("*.py")):
        place = module.relative_to(PACKAGE)
        if {str(place), place.parts[0]} & ELSEWHERE:
            continue
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                modes = [
                    a.value for a in [*node.args, *(k.value for k in node.keywords)] if isinstance(a, ast.Constant)
                ]
                opened = name in ("open", "fdopen") and any(
                    re.fullmatch("[rwaxbt+]*[wax+][rwaxbt+]*", str(mode)) for mode in modes
                )
                opened &= getattr(getattr(node.func, "value", None), "id", "") != "archive"  # a member of a file
                first = node.args[0].id if node.args and isinstance(node.args[0], ast.Name) else ""
                opened &= first != "buffer"  # in memory
                to_file = first in ("file", "buffer")
                if opened or (name in WRITES and not to_file):
                    found.append(f"{place}:{node.lineno} {name}")
    assert found == []
