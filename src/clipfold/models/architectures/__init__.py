"""Architectures, one file each, listed in `clipfold.models.catalog`."""
