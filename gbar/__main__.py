"""`python -m gbar COMMAND` is `gbar COMMAND`."""

from gbar.scripts.main import main

if __name__ == "__main__":
    main()
