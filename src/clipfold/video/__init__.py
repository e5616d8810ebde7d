"""Probing and decoding: the only package that imports PyAV, apart from the demo."""
