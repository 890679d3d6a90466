"""Indexed volumes as nodes of the scene."""
