"""The part of VolumeRetrieval that knows Slicer and Qt. Nothing is imported here: the module must load quickly."""
