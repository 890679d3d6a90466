"""Indexing on several computers by Dask: others read and embed, this process stores (docs/CLUSTER.md)."""
