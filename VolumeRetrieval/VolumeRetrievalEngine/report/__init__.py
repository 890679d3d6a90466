"""A search result as one HTML file that needs nothing else."""
