"""`python -m wildpdiff`, which is the command `wildpdiff`."""

from .cli import main

if __name__ == "__main__":
    main()
