"""What a person is told of what was wrong, in a sentence."""

from pydantic import ValidationError


def sentence(error: Exception) -> str:
    """What was wrong, without the frame that pydantic puts around it.

    >>> from training.config import Optimisation
    >>> try:
    ...     Optimisation.model_validate({"epochs": 0})
    ... except ValueError as error:
    ...     sentence(error)
    'epochs: Input should be greater than 0'
    """
    if not isinstance(error, ValidationError):
        return str(error)
    said = []
    for part in error.errors():
        where = ".".join(map(str, part["loc"]))
        said.append(f"{where}: " * bool(where) + part["msg"].removeprefix("Value error, "))
    return "; ".join(said)
