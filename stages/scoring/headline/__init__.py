"""The scores that runs are compared by: of validation while training, and of the test split in the end."""
