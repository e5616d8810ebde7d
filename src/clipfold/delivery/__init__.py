"""From fitted models to answers: bundles, predictions, timelines of long videos, drift."""
