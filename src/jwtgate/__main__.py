"""`python -m jwtgate` is the program `jwtgate`."""

from jwtgate.cli import main

if __name__ == "__main__":
    main()
