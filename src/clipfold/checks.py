"""The one kind of error for a wrong value. Standard library only."""


def require(condition: bool, name: str, value: object, remedy: str) -> None:
    """Raise the one kind of error that users see for a wrong setting.

    Raises:
        ValueError: `condition` is false.
    """
    if not condition:
        raise ValueError(f"{name} is {value!r}: {remedy}")
