"""Image classification where a class is a product of factors."""

import os

__version__ = "0.1.0"

# Before torch is first imported. Its threads wait for each other by spinning, which on a machine with other work keeps
# the very thread they wait for off the core: two trainings on two cores ran ten times slower than one. With a short
# spin they share, and alone nothing is lost.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
