"""Reports for reading: the console, plots and pages."""
