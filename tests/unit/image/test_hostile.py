"""Test 300 kinds of bad images, folders and archives: each is typed, and nothing but it is opened."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.corpus.spoil import damaged
from helpers.pictures import FORMATS, encoded, pixels, write_folder, write_tar, write_zip

# Run in a process of its own, because an audit hook stays; workers inherit it. Each opened path below the folder of the
# cases is noted, and each program or connection.
SCRIPT = """
import json, os, sys
from pathlib import Path

root, output, modality = sys.argv[1:]
log = os.open(output + "/opened", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def note(event, args):
    if event == "open" and isinstance(args[0], str) and args[0].startswith(root):
        os.write(log, (json.dumps(args[0]) + "\\n").encode())
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"):
        os.write(log, (json.dumps(event) + "\\n").encode())

from clipfold.settings import DecodeSettings, ProbeSettings
from clipfold.storage.files import read_table
from clipfold.video.decode_shard import decode_shard
from clipfold.video.probe_shard import probe_shard

sys.addaudithook(note)
paths = {path.name: str(path) for path in sorted(Path(root, "cases").iterdir())}
settings = DecodeSettings(size=32, views={"clips": {"kind": "uniform", "frames": 2}})
table, index, clips = (Path(output, name) for name in ("metadata.parquet", "index.parquet", "clips.npy"))
probe_shard(paths, table, ProbeSettings(), 2, memory_mb=1000, modality=modality)
decode_shard(paths, table, {"clips": clips}, index, settings, 2)
Path(output, "rows").write_text(json.dumps(read_table(index).to_pylist()))
"""


def run(root: Path, output: Path, modality: str):
    """Probe and decode the cases; returns their rows, and what was opened besides them and the output."""
    output.mkdir()
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(root), str(output), modality]
    subprocess.run(command, check=True, capture_output=True, timeout=500)
    cases, results = (str(folder) + os.sep for folder in (root / "cases", output))
    opened = [json.loads(line) for line in (output / "opened").read_text().splitlines()]
    assert any(path.startswith(cases) for path in opened)
    return json.loads((output / "rows").read_text()), [path for path in opened if not path.startswith((cases, results))]


def check(rows, count):
    assert len(rows) >= count
    assert {row["status"] for row in rows} & {"crashed", "timeout", "failed"} == set()
    assert all(row["reason"] or row["status"] == "ok" for row in rows)
    assert {row["status"] for row in rows} > {"ok", "corrupt", "unreadable"}


@pytest.mark.slow
def test_200_bad_images_are_typed_and_open_nothing(tmp_path):
    cases, picture = tmp_path / "cases", pixels(3, size=(80, 60))
    cases.mkdir()
    (tmp_path / "secret.png").write_bytes(encoded(picture))
    for number in range(160):
        suffix = list(FORMATS)[number % len(FORMATS)]
        (cases / f"{number:03}.{suffix}").write_bytes(damaged(encoded(picture, suffix), number))
    secret = str(tmp_path / "secret.png").encode()
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(" + secret + b") run\n"
    texts = {
        "eps": eps,
        "late_eps": b"\n" + eps,
        "dos_eps": b"\xc5\xd0\xd3\xc6" + bytes(28) + eps,
        "svg": b"<svg><image href='file://" + secret + b"'/></svg>",
        "xml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file://" + secret + b"'>]><a>&b;</a>",
        "mvg": b"push graphic-context\nimage over 0,0 0,0 '" + secret + b"'",
        "msl": b"<image><read filename='" + secret + b"'/></image>",
        "m3u": b"#EXTM3U\n" + secret,
        "ffconcat": b"ffconcat version 1.0\nfile '" + secret + b"'",
        "xbm": b"#define a_width 9\n#define a_height 9\nstatic char a_bits[] = {0};",
        "fpx": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600),
        "psd": b"8BPS\0\1" + bytes(60),
        "ico": b"\0\0\1\0\1\0" + bytes(30),
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
        "fits": b"SIMPLE  =                    T" + b" " * 50,
        "gbr": bytes(3) + b"\x14" + bytes(3) + b"\2",
        "tga": bytes(2) + b"\2" + bytes(15),
        "pcx": b"\n\5\1\10" + bytes(124),
        "dds": b"DDS |" + bytes(124),
        "name": secret,
    }
    for name, data in texts.items():
        for suffix in ("png", "jpg"):
            (cases / f"{name}.{suffix}").write_bytes(data)
    rows, opened = run(tmp_path, tmp_path / "out", "image")
    check(rows, 200)
    assert opened == []


@pytest.mark.slow
def test_100_bad_folders_and_archives_are_typed_and_open_nothing_else(tmp_path):
    cases, outside = tmp_path / "cases", tmp_path / "outside"
    cases.mkdir()
    one = encoded(pixels())
    write_folder(outside, {"secret.png": one})
    files = {f"img{number}.png": encoded(pixels(number)) for number in range(6)}
    for name, write in (("zip", write_zip), ("tar", write_tar)):
        whole = write(tmp_path / f"whole.{name}", files).read_bytes()
        for number in range(45):
            (cases / f"{number}.{name}").write_bytes(damaged(whole, number))
    for number, target in enumerate((outside / "secret.png", "../../outside/secret.png", outside, "/dev/zero", "loop")):
        folder = write_folder(cases / f"link{number}", files)
        (folder / "img9.png").symlink_to(target)
    names = (outside / "secret.png", "../outside/secret.png", "a/../../outside/secret.png", "~/a.png")
    for number, name in enumerate(names):
        write_zip(cases / f"name{number}.zip", files | {str(name): one})
        write_tar(cases / f"name{number}.tar", files | {str(name): one})
    for number, content in enumerate((b"", b"no image", str(outside / "secret.png").encode(), one[:50])):
        write_folder(cases / f"broken{number}", files | {"img3.png": content})
    write_folder(cases / "good", files)
    write_folder(cases / "none", {})
    rows, opened = run(tmp_path, tmp_path / "out", "video")
    check(rows, 100)
    assert opened == []
    statuses = {row["id"]: row["status"] for row in rows}
    assert statuses["good"] == "ok"
    assert {statuses[f"link{number}"] for number in range(5)} == {"refused"}
    assert {statuses[f"name{number}.{suffix}"] for number in range(3) for suffix in ("zip", "tar")} == {"refused"}
