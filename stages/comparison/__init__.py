"""What a pull request is told about its runs."""
