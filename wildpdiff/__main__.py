"""`python -m wildpdiff`, which is the command `wildpdiff`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.argv[0] = "wildpdiff"
    main()
