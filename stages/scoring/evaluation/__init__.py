"""What is told of the test split: the predictions file, and from it scores with intervals, slices and plots."""
