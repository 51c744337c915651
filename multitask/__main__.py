"""``python -m multitask`` is ``multitask``."""

from multitask.cli import main

if __name__ == "__main__":
    main()
