"""`python -m tradetui`."""

from tradetui.cli import main

if __name__ == "__main__":
    main()
