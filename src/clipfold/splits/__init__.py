"""Build the folds: quarantine, groups, assignment."""
