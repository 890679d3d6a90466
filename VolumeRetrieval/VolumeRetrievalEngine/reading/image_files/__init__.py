"""NIfTI, NRRD and MetaImage files to volumes and masks."""
