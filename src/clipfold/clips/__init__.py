"""Stored clips: augment, resize, show as film strips, read."""
