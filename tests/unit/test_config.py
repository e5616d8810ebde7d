"""Mistakes in the config: one line with the key, the value and the remedy; and each key is declared once."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_origin, get_type_hints

import pytest
import yaml

from clipfold.config import Config, read_config

CONFIG = Path(__file__).parents[2] / "config"
DEFAULTS = yaml.safe_load((CONFIG / "config.yaml").read_text())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modles": ["svm"]}, "modles is not a key of the config: did you mean 'models'?"),
        ({"splits": {"fold": 3}}, "splits.fold is not a key of the config: did you mean 'folds'?"),
        ({"policy": {"corupt": "use"}}, "policy.corupt is not a key of the config: did you mean 'corrupt'?"),
        ({"columns": {"lable": "class"}}, "columns.lable is not a key of the config: did you mean 'label'?"),
        ({"columns": {"label": 3}}, "columns.label is 3: name a column of the manifest"),
        ({"probe": None}, "probe is None: use a mapping of its settings, or leave it out"),
        ({"seed": "1"}, "seed is '1': use a whole number"),
        ({"seed": -1}, "seed is -1: use 0 to 2147483647"),
        ({"seed": True}, "seed is True: use a whole number"),
        ({"splits": {"folds": "3"}}, "splits.folds is '3': use a whole number (Snakemake reads nested values of"),
        ({"splits": {"validation": "1e-1"}}, "splits.validation is '1e-1': use a number (YAML reads 1e-3 as text"),
        ({"shortcuts": "yes"}, "shortcuts is 'yes': use true or false"),
        ({"shard_size": -1}, "shard_size is -1: use 1 or more videos per shard, or 0"),
        ({"models": "svm"}, "models is 'svm': use a list"),
        ({"models": [3]}, "models is 3: list names of architectures, or mappings such as"),
        ({"bundle": {"models": "svm"}}, "bundle.models is 'svm': use a list"),
        ({"bundle": {"final": "yes"}}, "bundle.final is 'yes': use true or false"),
        ({"bundle": {"finals": True}}, "bundle.finals is not a key of the config: did you mean 'final'?"),
        ({"allow_leakage": ["group"]}, "allow_leakage is 'group': use any of groups, duplicates, overlaps"),
        ({"splits": {"scheme": "random"}}, "splits.scheme is 'random': it separates videos of one group"),
        ({"decode": {"views": {"Clips": {}}}}, "decode.views is ['Clips']: keep a view named 'clips'"),
        ({"decode": {"views": {"clips": {}, "whole": {}}}}, "decode.views is ['clips', 'whole']: rename whole, which"),
        (
            {"modality": "image", "decode": {"views": {"clips": {"kind": "uniform", "frames": 4, "region": "motion"}}}},
            "decode.views.clips.region is 'motion': leave it out: an image does not move",
        ),
        ({"decode": {"views": {"clips": {}, "a/b": {}}}}, "decode.views is 'a/b': use a name of lower-case letters"),
    ],
)
def test_a_mistake_is_named_with_its_key_value_and_remedy(values, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  # the message is checked below
        read_config(values)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_advice_leads_out():
    assert read_config({"models": ["svm"], "splits": {"folds": 3, "scheme": "random"}, "allow_leakage": ["random"]})


def test_whole_frames_are_kept_for_the_search_for_near_duplicates_where_clips_show_a_region():
    clips = {"kind": "dense", "frames": 4, "stride": 3}
    views = read_config({"decode": {"views": {"clips": clips | {"region": "motion"}}}}).decode.views
    assert views == {"clips": clips | {"region": "motion"}, "whole": clips | {"region": "none"}}
    assert read_config({"decode": {"views": {"clips": clips}}}).decode.views == {"clips": clips}


def test_the_commented_file_gives_the_declared_defaults():
    plain = dataclasses.asdict(read_config({}))
    assert {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()} == DEFAULTS


def types_of(cls):
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", Mapping: "object", Sequence: "array"}
    for name, hint in get_type_hints(cls).items():
        yield name, dict(types_of(hint)) if dataclasses.is_dataclass(hint) else kinds[get_origin(hint) or hint]


def types_in(schema):
    for name, entry in schema["properties"].items():
        nested = "properties" in entry and name != "columns"
        yield name, dict(types_in(entry)) if nested else "string" if "enum" in entry else entry["type"]
    assert schema["additionalProperties"] is False


def test_the_schema_for_editors_has_the_declared_keys_and_types():
    assert dict(types_in(yaml.safe_load((CONFIG / "schema.yaml").read_text()))) == dict(types_of(Config))
