"""Compare models on their pooled out-of-fold predictions."""
