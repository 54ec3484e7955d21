"""Other people's optimisers on the same trial, as their users run them. Each file loads its package when called."""

__all__: list[str] = []
