"""Numbers with their nouns, for the sentences of both programs. Pure."""


def count_words(number: int, singular: str, plural: str | None = None) -> str:
    """A count with its noun.

    >>> count_words(1, "photo"), count_words(1653, "photo"), count_words(2, "species", "species")
    ('1 photo', '1,653 photos', '2 species')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
