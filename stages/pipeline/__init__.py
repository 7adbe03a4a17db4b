"""What makes a module a stage: where it reads and writes, how it starts, and how it fails."""
