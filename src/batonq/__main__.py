"""`python -m batonq` is the command `batonq`."""

from batonq.cli.main import main

if __name__ == "__main__":
    main()
