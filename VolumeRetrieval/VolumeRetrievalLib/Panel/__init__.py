"""The widgets of the panel, and what they ask of a logic."""
