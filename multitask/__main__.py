"""``python -m multitask`` is ``multitask``."""

import os
import sys

# ``-m`` lets every file of the working folder stand in for a library, as a yaml.py would; the console script does not.
# Only where the package itself is imported from there it must stay.
_HERE = os.path.realpath(os.getcwd())
if not sys.flags.safe_path and os.path.dirname(os.path.dirname(os.path.realpath(__file__))) != _HERE:
    sys.path[:] = [place for place in sys.path if os.path.realpath(place) != _HERE]

from multitask.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
