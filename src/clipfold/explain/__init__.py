"""What a fitted model looked at: places in clips for networks, columns for models on features."""
