"""Image classification where a class is a product of factors."""

__version__ = "0.1.0"
