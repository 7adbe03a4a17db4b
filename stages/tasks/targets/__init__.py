"""What is predicted for a text or word: one label, any number of labels, or a number."""
