"""clipfold trains and compares video classifiers honestly."""
