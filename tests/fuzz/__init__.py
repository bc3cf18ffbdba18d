"""Fuzz targets: README.md says what each holds."""
