"""What jobs ask for and use: estimates, records of use, GPUs."""
