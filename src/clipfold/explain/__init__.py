"""Show what a fitted model relies on: regions of clips for networks, columns for feature models."""
