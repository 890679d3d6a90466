"""Several computers by Dask: others read and embed for an index, or hold indexes open to search (docs/CLUSTER.md)."""
