"""Container images and the files that they need."""
