"""Results next to the query: layout, marks, following, and the preview of a region."""
