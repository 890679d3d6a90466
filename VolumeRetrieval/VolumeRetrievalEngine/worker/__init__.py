"""The engine as a child process: a warm search worker, and the messages it and the indexing job speak (PROTOCOL.md)."""
