"""What every stage needs to read and write files: paths, whole outputs, locks, errors, and recovery after a failure."""
