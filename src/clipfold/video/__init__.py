"""Probing and decoding: the only folder that knows PyAV."""
