"""Handcrafted features of a video: one module per group of columns."""
