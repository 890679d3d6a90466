"""The steps of the papers on plain arrays, a file for each step."""
