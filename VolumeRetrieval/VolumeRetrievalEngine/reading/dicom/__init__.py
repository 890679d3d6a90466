"""DICOM files to volumes: headers, splitting a series, geometry, pixels."""
