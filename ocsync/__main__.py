"""The entry point of `python -m ocsync`."""

from ocsync.cli import main

if __name__ == "__main__":
    main()
