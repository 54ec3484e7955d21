"""The command line: one thin file per command. `gbar tune` is scripts/tune.py, and so on."""

__all__: list[str] = []
