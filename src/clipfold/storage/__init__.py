"""Storage: writing results, integrity, fingerprints of code, logging of jobs."""
