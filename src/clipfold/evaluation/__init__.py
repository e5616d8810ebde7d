"""From pooled out-of-fold predictions to the report."""
