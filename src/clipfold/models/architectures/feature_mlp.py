"""A multilayer perceptron on features, trained by L-BFGS (Liu & Nocedal 1989) without learning rate or batches."""

from collections.abc import Mapping
from typing import Any, Self

from sklearn.ensemble import VotingClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight

from clipfold.models.tabular import standardised
from clipfold.storage.hashing import stable_hash


class BalancedMLP(MLPClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """MLPClassifier with the same total weight for each class; scikit-learn's own has no class weights."""

    def fit(self, X: Any, y: Any) -> Self:
        super().fit(X, y, sample_weight=compute_sample_weight("balanced", y))
        return self


def build(settings: Mapping[str, Any], seed: int) -> Pipeline:
    """Build the classifier; `hidden` gives the width of each layer, `alpha` the strength of L2 regularisation.

    With several `seeds`, it is the mean of as many; its `transform` gives the probabilities of each.
    """
    kind = BalancedMLP if settings["class_weight"] else MLPClassifier
    hidden, count = tuple(settings["hidden"]), settings["seeds"]
    seeds = [stable_hash(f"{seed}/{number}", digest_size=4) if number else seed for number in range(count)]
    each = [kind(hidden, solver="lbfgs", alpha=settings["alpha"], max_iter=2000, random_state=own) for own in seeds]
    if count == 1:
        return standardised(each[0], settings)
    named = [(f"training_{number}", own) for number, own in enumerate(each)]
    return standardised(VotingClassifier(named, voting="soft", flatten_transform=False), settings)
