"""A pool of connections that are opened once and lent out."""


class ConnectionPool:
    """Lends connections; whoever is done with one gives it back."""

    def acquire(self, timeout: float = 5.0) -> object:
        """Wait for a free connection and return it.

        Raises PoolExhausted when none becomes free before the timeout.
        """
        raise NotImplementedError

    def release(self, connection: object) -> None:
        """Give a connection back to the pool."""
        raise NotImplementedError
