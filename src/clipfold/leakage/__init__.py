"""Find leaks between training and test videos: duplicates, near duplicates and clips of the same recording."""
