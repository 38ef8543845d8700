"""`python -m otad.publisher` is `otarepo`."""

from otad.publisher.cli import main

if __name__ == "__main__":
    main()
