"""Make a manifest from data as people have it: a file per layout. Standard library only."""
