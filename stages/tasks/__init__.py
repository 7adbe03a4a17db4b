"""What can be learned: each task is one object, made in `registry`; how its examples are encoded stays apart."""
