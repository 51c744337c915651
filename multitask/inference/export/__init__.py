"""Runs as ONNX files: written, checked against the run, and read back without torch."""
