"""Python packages: which are missing, and their installation after consent."""
