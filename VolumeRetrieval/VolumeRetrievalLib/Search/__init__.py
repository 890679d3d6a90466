"""A query leaves, a result comes back."""
