"""Several stores searched as one archive."""
