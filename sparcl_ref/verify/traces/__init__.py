"""Behind `record` and `trace` of this package: the file format, what is logged, and by which rule."""
