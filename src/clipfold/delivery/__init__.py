"""What comes after the report: bundles of trained models, predictions, timelines, drift."""
