"""Resources of jobs: estimates, recorded usage, forecasts, GPUs."""
