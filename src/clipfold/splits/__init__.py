"""From usable videos to folds: quarantine, groups, assignment."""
