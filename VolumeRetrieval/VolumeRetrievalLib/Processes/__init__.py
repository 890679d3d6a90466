"""Starts the engine as a child process, speaks with it, and leaves none behind."""
