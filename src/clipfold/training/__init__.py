"""Train one model on one fold."""
