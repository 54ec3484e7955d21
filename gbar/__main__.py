"""The `gbar` command; `python -m gbar COMMAND` is the same."""

from gbar.scripts.interrupts import Interrupts


def main() -> None:
    """Entry point: from here on Ctrl-C ends it without a traceback, while the rest is imported too."""
    interrupts = Interrupts()
    interrupts.install()
    from gbar.scripts.main import app

    with interrupts.last():
        app()


if __name__ == "__main__":
    main()
