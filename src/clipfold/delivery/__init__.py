"""Deliver what was trained: bundles of trained models, predictions, timelines, drift."""
