"""The `gbar` command; `python -m gbar COMMAND` is the same."""

from gbar.scripts.interrupts import as_process


def main() -> None:
    """Entry point. All the rest is imported when Ctrl-C is already taken care of."""
    as_process(_command)


def _command() -> None:
    from gbar.scripts.main import app

    app()


if __name__ == "__main__":
    main()
