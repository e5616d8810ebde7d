"""What may give a test video away to a model: copies and near copies of it, and other clips of its recording."""
