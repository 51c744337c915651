"""The findings on a data set, on a page and on the console."""
