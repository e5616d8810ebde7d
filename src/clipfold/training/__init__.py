"""Fitting one model on one fold."""
