"""The DICOM database next to its index."""
