"""Phantom patients for the Sample Data module, and the self test."""
