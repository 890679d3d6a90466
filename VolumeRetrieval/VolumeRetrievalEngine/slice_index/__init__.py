"""The slice index: derived from the store, kept next to it, rebuilt from it whenever it is lost."""
