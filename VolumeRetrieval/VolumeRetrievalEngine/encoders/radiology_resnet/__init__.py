"""The encoder that ships with the engine."""
