"""The subcommands of `gbar bench`, a file each."""

__all__: list[str] = []
