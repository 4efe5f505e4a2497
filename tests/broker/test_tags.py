"""One tag, several faces: what is the same tag, and what is refused because it may be another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.tags import (
    OCTETS,
    Ambiguous,
    Enrolled,
    Faces,
    Known,
    Match,
    Tag,
    canonical,
    faces,
    matches,
    meanings,
    of_number,
    parse,
)

CARD = Tag("100086F444")
"""A captured EM4100 card, on which 0008844356 is printed."""

tags = st.sampled_from(OCTETS).flatmap(
    lambda octets: st.integers(1, (1 << 8 * octets) - 1).map(lambda number: Tag(f"{number:0{2 * octets}X}"))
)
cards = (
    st.binary(min_size=5, max_size=5)
    .filter(lambda octets: any(octets[2:]))
    .map(lambda octets: Tag(octets.hex().upper()))
)


def written(tag: Tag) -> set[Tag]:
    """What readers of every length make of a card."""
    return {Tag(cut) for cut in (tag.value, faces(tag).low32, faces(tag).low24) if cut is not None}


@pytest.mark.proves("P1")
def test_the_faces_of_a_captured_card_are_those_printed_on_it() -> None:
    assert faces(CARD) == Faces("100086F444", "0086F444", "86F444", "0008844356", "134,62532")
    assert faces(Tag("3C00CE754C")).decimal10 == "0013530444"
    assert faces(Tag("3C00CE754C")).facility_number == "206,30028"
    assert faces(Tag("60F7AA6C")) == Faces(None, "60F7AA6C", "F7AA6C", "1626843756", "247,43628")
    assert faces(Tag("86F444")) == Faces(None, None, "86F444", None, "134,62532")
    assert faces(Tag("041219C321931B")) == Faces(None, None, None, None, None)


@pytest.mark.proves("P1")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100086f444", "100086F444"),
        (" 10:00:86:F4:44 ", "100086F444"),
        ("04-12-19-c3-21-93-1b", "041219C321931B"),
        ("04:a1:b2", "04A1B2"),
        ("0x86F444", "86F444"),
        ("0008844356", "0086F444"),
        ("134,62532", "86F444"),
        ("134，62532", "86F444"),
        ("134, 62532", "86F444"),
        ("０００８８４４３５６", "0086F444"),
        ("８６ｆ４４４", "86F444"),
        ("10：00：86：F4：44", "100086F444"),
        ("9999999999", "9999999999"),
    ],
)
def test_what_people_type_becomes_the_canonical_value(text: str, value: str) -> None:
    assert parse(text) == Tag(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "guard 7",
        "12345",
        "1234567",
        "0000000000",
        "000,00000",
        "256,00001",
        "001,65536",
        "86F44G",
        "٠٠٠٨٨٤٤٣٥٦"[:5],
        "F" * 65,
        "8" * 70,
    ],
)
def test_what_is_no_tag_is_none_and_not_guessed(text: str) -> None:
    assert parse(text) is None
    assert canonical(text) is None


@pytest.mark.proves("P1")
def test_ten_digits_are_the_printed_number_and_both_meanings_are_told() -> None:
    assert meanings("3300512345") == (Tag("C4B9D259"), Tag("3300512345"))
    assert parse("33:00512345") == parse("0x3300512345") == canonical("3300512345") == Tag("3300512345")


@given(tags)
def test_a_canonical_value_is_read_back_as_itself(tag: Tag) -> None:
    assert canonical(tag.value) == canonical(tag.value.lower()) == canonical(str(tag)) == tag
    assert canonical(":".join(tag.value[at : at + 2] for at in range(0, len(tag.value), 2))) == tag
    assert tag in meanings(tag.value)
    assert of_number(int(tag.value, 16), tag.bits) == tag
    assert tag.bits == 4 * len(tag.value)


@given(cards)
def test_every_face_of_a_card_is_parsed_as_a_part_of_it(card: Tag) -> None:
    known = faces(card)
    assert known.decimal10 is not None
    assert known.facility_number is not None
    if int(known.decimal10):
        assert parse(known.decimal10) == Tag(card.value[-8:])
    assert parse(known.facility_number) == Tag(card.value[-6:])


@given(st.text(max_size=80))
def test_whatever_is_typed_nothing_raises(text: str) -> None:
    for tag in (parse(text), canonical(text), *meanings(text)):
        assert tag is None or canonical(tag.value) == tag


@pytest.mark.parametrize("value", ["", "86f444", "86F44", "000000", "0000000000", "86F444\n", "10 0086F444"])
def test_a_value_that_is_not_canonical_cannot_be_a_tag(value: str) -> None:
    with pytest.raises(ValueError, match="not a tag"):
        Tag(value)


@pytest.mark.parametrize(("number", "bits"), [(0, 24), (1 << 24, 24), (-1, 32), (5, 26), (5, 16), (5, 48)])
def test_a_number_that_no_card_has_is_no_tag(number: int, bits: int) -> None:
    assert of_number(number, bits) is None


@pytest.mark.proves("P1")
def test_readers_of_different_lengths_find_the_same_card() -> None:
    known = Enrolled([CARD, Tag("041219C321931B"), Tag("CB98A605")])
    assert known.find(CARD) == Known(CARD, Match.EXACT)
    assert known.find(Tag("0086F444")) == Known(CARD, Match.BY_32)
    assert known.find(Tag("86F444")) == Known(CARD, Match.BY_24)
    assert known.find(Tag("98A605")) == Known(Tag("CB98A605"), Match.BY_24)
    assert known.find(Tag("041219C321931B")) == Known(Tag("041219C321931B"), Match.EXACT)
    assert known.find(Tag("21931B")) is None  # a long UID is not cut
    assert known.find(Tag("110086F444")) is None  # another card with the same number in another series
    assert known.ambiguous24 == {}


@pytest.mark.proves("P1")
def test_two_cards_with_the_same_24_bits_are_both_refused_and_named() -> None:
    other = Tag("620186F444")
    known = Enrolled([CARD, other])
    assert known.find(Tag("86F444")) == Ambiguous((CARD, other))
    assert known.find(CARD) == Known(CARD, Match.EXACT)
    assert known.find(Tag("0086F444")) == Known(CARD, Match.BY_32)
    assert known.ambiguous24 == {"86F444": (CARD, other)}


def test_a_short_value_that_was_enrolled_beside_a_longer_one_may_be_either() -> None:
    short = Tag("86F444")
    known = Enrolled([CARD, short])
    assert known.find(short) == Ambiguous((CARD, short))
    assert known.find(CARD) == Known(CARD, Match.EXACT)
    assert Enrolled([short]).find(CARD) == Known(short, Match.BY_24)


@given(st.lists(cards, max_size=6), cards)
def test_a_cut_is_found_exactly_when_one_card_alone_has_it(others: list[Tag], card: Tag) -> None:
    known = Enrolled([*others, card])
    for read in written(card):
        having = {tag for tag in known.tags if tag.value.endswith(read.value)}
        found = known.find(read)
        if len(having) == 1:
            assert isinstance(found, Known)
            assert found.tag == card
        else:
            assert found == Ambiguous(tuple(sorted(having)))


@given(tags, tags)
def test_matching_does_not_depend_on_which_was_enrolled(one: Tag, other: Tag) -> None:
    assert matches(one, other) == matches(other, one)
    assert (matches(one, other) is Match.EXACT) == (one == other)


@given(cards)
def test_whatever_a_short_reader_reads_matches_the_card(card: Tag) -> None:
    assert {matches(read, card) for read in written(card)} <= {Match.EXACT, Match.BY_32, Match.BY_24}


@given(st.lists(tags, max_size=8), tags)
def test_finding_never_names_a_tag_that_does_not_match(enrolled: list[Tag], read: Tag) -> None:
    known = Enrolled(enrolled)
    match known.find(read):
        case Known(tag, how):
            assert tag in known.tags
            assert matches(read, tag) is how
        case Ambiguous(candidates):
            assert len(candidates) > 1
            assert all(matches(read, tag) for tag in candidates)
        case None:
            assert not any(matches(read, tag) for tag in known.tags)
