"""Architectures: one file each, listed in catalog.py."""
