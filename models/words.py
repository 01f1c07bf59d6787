"""Counts and lists in words, for the sentences of both programs. Pure."""

from collections.abc import Sequence


def count_words(number: int, singular: str, plural: str | None = None) -> str:
    """A count with its noun.

    >>> count_words(1, "photo"), count_words(1653, "photo"), count_words(2, "species", "species")
    ('1 photo', '1,653 photos', '2 species')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listed(["head"]), listed(["head", "middle", "tail"])
    ('head', 'head, middle and tail')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def signed(difference: float, digits: int = 1) -> str:
    """A difference with its sign, a true minus; what rounds to nothing has none.

    >>> signed(20), signed(-1.26), signed(-0.004), signed(-0.004, 3)
    ('+20.0', '−1.3', '0.0', '−0.004')
    """
    words = f"{difference:+.{digits}f}"
    return words.replace("-", "−") if float(words) else words[1:]
