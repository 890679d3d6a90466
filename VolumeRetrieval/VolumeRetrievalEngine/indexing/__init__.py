"""One indexing run, from found files to a filled store."""
