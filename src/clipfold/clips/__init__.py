"""Stored clips: augment, resize, read, draw as filmstrips."""
