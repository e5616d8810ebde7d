"""The box of claims follows from the results, whatever they are."""

import numpy as np
import pytest

from clipfold.report import coarser, dataset
from clipfold.report.claims import claims

GROUPS, SHARES = {"fight": 12, "no_fight": 11}, {"fight": 0.5, "no_fight": 0.5}


def row(model, low=0.6, tied=False, shortcut=False, over=np.nan):
    found = {"model": model, "metric": "roc_auc_within", "low": low, "tied": tied, "shortcut": shortcut}
    return found | {"best_shortcut": "" if np.isnan(over) else "shortcut_colour", "over_shortcut_low": over}


def box(rows, audit=None, groups=GROUPS, networks=(), merged=None):
    found = claims(rows, dataset.audited({"leaks": 0} | (audit or {})), groups, SHARES, networks, merged)
    return {name: " ".join(sentences) for name, sentences in found.items()}


def merged(p):
    level = {"groups": 24, "similar": 0.51, "random": 0.66, "low": 0.57, "high": 0.73, "p": p / 2}
    return {"groups": 47, "score": 0.63, "looks": "embeddings", "p": p, "levels": [level | {"p": 0.7}, level]}


@pytest.mark.parametrize("p", [0.04, 0.06])
def test_groups_that_are_too_fine_are_said_to_be(p):
    said = "That the groups are coarse enough" in box([row("svm")], merged=merged(p))["may_not"]
    sentence = coarser.described(merged(p))["sentence"]
    assert (
        said
        == sentence.startswith("The groups may be too fine: a linear model on the features reaches 0.63")
        == (p < 0.05)
    )
    assert f"merged at random, 0.66 (0.57 to 0.73), p = {p:.2f}, corrected for 2 sizes." in sentence


def test_groups_that_were_not_merged_are_not_tested():
    few = {"groups": 9, "reason": "9 groups are too few to merge"}
    assert "Whether the groups are too fine: 9 groups are too few" in box([row("svm")], merged=few)["untested"]
    assert coarser.described(few)["rows"] == []
    assert coarser.described(None) is None


def test_a_good_run():
    found = box(
        [row("svm", over=0.1), row("cnn", tied=True), row("rnn"), row("shortcut_colour", shortcut=True)],
        networks=["cnn"],
    )
    assert "svm tells these classes apart" in found["may"]
    assert "uses more of the videos than the shortcuts see: the colours, wherever they are." in found["may"]
    assert "svm is better on such videos than rnn." in found["may"]
    assert "That svm is better than cnn" in found["may_not"]
    assert "knows something" not in found["may_not"]
    assert "(fight 50%, no_fight 50%)" in found["may_not"]
    assert "Other random starts of cnn: each fold was trained once, so chance in training" in found["untested"]


@pytest.mark.parametrize("low", [0.5, np.nan])
def test_a_model_at_chance(low):
    found = box([row("svm", low)])
    assert found["may"] == ""
    assert "the interval of the best is not above chance, 0.50" in found["may_not"]
    assert "random starts" not in found["untested"]


def test_a_shortcut_that_explains_the_scores():
    found = box([row("svm", over=-0.1), row("shortcut_colour", shortcut=True)])
    assert found["may"] == ""
    assert "svm uses more of the videos than the colours, wherever they are: shortcut_colour, which" in found["may_not"]


@pytest.mark.parametrize("audit", [{"leaks": 3}, {"mark": "random folds"}, {"scheme": "random"}])
def test_leaks_leave_nothing_to_claim(audit):
    found = box([row("svm"), row("cnn")], audit)
    assert found["may"] == ""
    assert "videos of the tests leak into training" in found["may_not"]


def test_guessed_groups_and_small_classes():
    found = box([row("svm")], {"groups": {"source": "proposed"}}, {"fight": 12, "no_fight": 3})
    assert "they were guessed" in found["may_not"]
    assert "Much about no_fight: fewer than 10 groups have it" in found["may_not"]
