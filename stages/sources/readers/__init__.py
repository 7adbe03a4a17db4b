"""Files of every format, read as rows of columns; nothing here knows what a column is for."""
