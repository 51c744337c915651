"""Predictions of any images by a trained run: from Python, the command line and exported files."""
