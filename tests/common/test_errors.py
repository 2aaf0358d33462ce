"""What a message says beside the mistake itself."""

from kerascifar.common import errors


def test_the_closest_name_is_suggested_whatever_its_case_among_the_first_of_many():
    assert errors.suggest("ADAMM", ["sgd", "adam"]) == 'Expected one of: sgd, adam. Did you mean "adam"?'
    assert errors.suggest("x", {"sgd", "adam"}) == "Expected one of: adam, sgd."
    many = errors.suggest("m30", [f"M{number}" for number in range(50)])
    assert "M19 and 30 others." in many and "M20" not in many and many.endswith('Did you mean "M30"?')


def test_an_exception_without_a_text_has_a_first_line():
    assert errors.first_line(ValueError("\n a\nb")) == "a" and errors.first_line(MemoryError()) == "MemoryError"
