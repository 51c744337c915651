"""What people read: the console, plots and pages."""
