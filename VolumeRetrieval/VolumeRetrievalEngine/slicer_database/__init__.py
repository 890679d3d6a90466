"""The series of a Slicer DICOM database, and what became of each of them."""
