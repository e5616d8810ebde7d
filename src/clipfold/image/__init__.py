"""Images, and videos that are stored as folders or archives of images."""
