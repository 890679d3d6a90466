"""Slices to unit vectors: which encoders there are, which one to use, and where its weights come from."""
