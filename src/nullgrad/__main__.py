"""`python -m nullgrad`."""

from nullgrad.surfaces.cli import main

if __name__ == "__main__":
    main()
