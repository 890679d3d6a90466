"""The encoders that can be chosen, and their texts."""
