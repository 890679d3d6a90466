"""What is searched with, and which part of it."""
