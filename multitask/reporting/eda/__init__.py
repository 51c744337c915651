"""What was found in a data set, on a page and on the console."""
