"""The weights that shipped first, unchanged: indexes that were made with them are still searched and updated with them.

ATTRIBUTION.md lists the volumes that they were trained on.
"""
