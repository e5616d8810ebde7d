"""Make small bundles whose description is right and whose model is none, to break in one place."""

import hashlib
import json
import stat
import zipfile

from clipfold.delivery.format import listed, write_description

FILES = {
    "README.md": b"# A model\n",
    "fits/0/fit.json": b"{}\n",
    "fits/0/model.skops": b"weights" * 100,
    "golden/expected.json": b"{}\n",
}


def describe(folder, **changes):
    """Return a description of the files in a folder."""
    metrics = {"roc_auc": 0.9, "log_loss": 0.3}
    return {
        "format": 2,
        "name": "svm",
        "architecture": "svm",
        "input": "features",
        "classes": ["calm", "fight"],
        "positive": "fight",
        "threshold": 0.5,
        "fits": [{"folder": "fits/0", "temperature": 1.5, "bias": [0.0, 0.0]}],
        "final": False,
        "settings": {"C": 1.0},
        "decode": {},
        "probe": {},
        "policy": {},
        "metrics": [
            {"metric": m, "decision": "", "value": v, "low": v - 0.1, "high": None} for m, v in metrics.items()
        ],
        "training": {"videos": 8, "groups": 4, "folds": 2, "labels": {"calm": 4, "fight": 4}, "digest": "00"},
        "leakage": "",
        "licences": [],
        "versions": {"python": "3.11.0"},
        "created": "2024-01-31",
        "files": listed(folder),
    } | changes


def make_bundle(folder, **changes):
    """Write a bundle; `changes` replace keys of its description, and are not checked."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if changes:
        (folder / "bundle.json").write_text(json.dumps(describe(folder, **changes)))
    else:
        write_description(folder, describe(folder))
    return folder


def scored(folder, number, **metrics):
    """Write a bundle that differs from others by its number, with values of metrics."""
    rows = [{"metric": m, "decision": "", "value": v, "low": None, "high": None} for m, v in metrics.items()]
    return make_bundle(folder / f"{number}", name=f"model_{number}", metrics=rows)


def bundle_id(folder):
    return hashlib.sha256((folder / "bundle.json").read_bytes()).hexdigest()[:16]


def pack_anyhow(folder, path, *more, skip=(), method=zipfile.ZIP_STORED):
    """Zip a folder without any check.

    Args:
        folder: The files.
        path: The archive.
        more: Further members: name or ZipInfo, and content.
        skip: Names to leave out.
        method: Compression.
    """
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            name = str(file.relative_to(folder))
            if file.is_file() and name not in skip:
                archive.write(file, name)
        for name, content in more:
            archive.writestr(name, content)
    return path


def link_member(name, target):
    """Return a member of an archive that is a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target


def repack(folder, change=lambda facts: facts):
    """Describe the files of a folder anew, with a change of its description, as a forger would; nothing is checked."""
    facts = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(change(facts) | {"files": listed(folder)}))
