"""`python -m refclip` is `refclip`."""

from refclip.cli import main

if __name__ == "__main__":
    main()
