"""The 3D-MIR benchmark on images of the Medical Segmentation Decathlon: `make mir3d DATA=DIR TABLES=DIR`."""
