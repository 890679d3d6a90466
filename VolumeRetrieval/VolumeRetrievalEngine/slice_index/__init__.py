"""The slice index: derived from the store, kept beside it, made again from it whenever it is lost."""
