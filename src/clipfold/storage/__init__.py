"""Files of results: writing, integrity, fingerprints of code, one job's frame."""
