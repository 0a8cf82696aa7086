"""`python -m fingerpost.cli` is `fingerpost`."""

from fingerpost.cli import main

if __name__ == "__main__":
    main()
