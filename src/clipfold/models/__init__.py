"""Models: the catalog of architectures, their settings and what networks share."""
