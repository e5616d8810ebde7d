"""The table of videos: read it, cut it into shards."""
