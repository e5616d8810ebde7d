"""The command neither ignores an option nor lets a bundle write to the terminal what it likes."""

import json

import pytest
from helpers.bundles import make_bundle

from clipfold import cli
from clipfold.delivery.format import listed, write_description
from clipfold.delivery.registry import Registry


@pytest.mark.parametrize("option", [{"stride": "2s"}, {"threshold": 0.4}, {"low": 0.2}, {"least": "3s"}, {"gap": "1s"}])
def test_an_option_of_windows_without_windows_is_an_error(tmp_path, option):
    with pytest.raises(ValueError, match=f"--{next(iter(option))} needs it"):
        cli.predict(str(tmp_path), ["a.mp4"], tmp_path / "a.csv", **option)


def test_a_model_card_is_shown_without_control_characters(tmp_path, capsys):
    folder = make_bundle(tmp_path / "bundle")
    facts = (folder / "bundle.json").read_bytes()
    (folder / "README.md").write_text("# café\n\n\x1b]0;owned\x07\x1b[2Jtext\r\n")
    write_description(folder, json.loads(facts) | {"files": listed(folder)})
    Registry(tmp_path / "registry").add(folder)
    cli.registry_show(tmp_path / "registry", "svm")
    assert capsys.readouterr().out == "# café\n\n]0;owned[2Jtext\n\n"
