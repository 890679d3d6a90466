"""One search, from a query to its matches."""
