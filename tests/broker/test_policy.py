"""The audience matrix, field by field, against a second writing of it that shares nothing with the first."""

import dataclasses
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ids import GroupId, HouseholdId
from broker.kinds import AUDIBLE, Kind, Mark
from broker.messages import AlarmView, alarm_view, plain
from broker.policy import POLICY, AlarmFacts, Audience, Membership, granted, neighbours, shown, siren, views
from broker.topics import parse
from tests.broker.village import ALARM, COMMUNITY, EXCLUDED, GRID, MEMBERSHIP, NEXT_DOOR, OPPOSITE, PANIC, PRESSER

ALWAYS = {"v", "type", "topic", "audience", "id", "age_ms", "kind", "word_zh", "word_en"}
NEIGHBOUR = ALWAYS | {"door", "label"}
GRID_WORKER = NEIGHBOUR | {"group", "place", "verified", "at_ms", "clock"}
COMMUNITY_OFFICE = GRID_WORKER | {"gateway"}
POLICE = COMMUNITY_OFFICE | {"unit", "press", "reason"}
TAMPER = COMMUNITY_OFFICE | {"unit"}
NOTHING = None

LOUD = (POLICE, COMMUNITY_OFFICE, GRID_WORKER, NEIGHBOUR)
MATRIX: dict[Kind, tuple[set[str] | None, ...]] = {  # police, community, grid, neighbour
    Kind.PANIC: LOUD,
    Kind.HELP: LOUD,
    Kind.MEDICAL: LOUD,
    Kind.FIRE: LOUD,
    Kind.INTRUSION: LOUD,
    Kind.DURESS: (POLICE, NOTHING, NOTHING, NOTHING),
    Kind.TAMPER: (NOTHING, TAMPER, NOTHING, NOTHING),
    Kind.TEST: (POLICE | {"mark"}, NOTHING, NOTHING, NOTHING),
    Kind.DRILL: tuple(keys | {"mark"} for keys in LOUD),
    Kind.UNVERIFIED: (POLICE, NOTHING, NOTHING, NOTHING),
}
OWN = {
    Audience.POLICE: {"police"},
    Audience.COMMUNITY: {f"community:{COMMUNITY}"},
    Audience.GRID: {f"grid:{GRID}"},
    Audience.NEIGHBOUR: {f"household:{NEXT_DOOR}", f"household:{OPPOSITE}"},
}
EVERY_ADDRESSEE = set().union(*OWN.values())


def messages(facts: AlarmFacts, membership: Membership = MEMBERSHIP) -> dict[str, AlarmView]:
    made = [alarm_view(view, alarm=ALARM, age_ms=0) for view in views(facts, membership)]
    assert len({message.audience for message in made}) == len(made), "one message each"
    return {message.audience: message for message in made}


def of_kind(kind: Kind, **changes: object) -> AlarmFacts:
    return dataclasses.replace(PANIC, kind=kind, **changes)  # type: ignore[arg-type] # the field's own type is checked by the model


def every_combination() -> Iterator[AlarmFacts]:
    for kind, mark, verified, consent in itertools.product(Kind, [None, *Mark], [True, False], [True, False]):
        yield of_kind(kind, mark=mark, verified=verified, medical_consent=consent)


FACTS = st.sampled_from(list(every_combination()))


@pytest.mark.proves("N4", "A1", "A3")
@pytest.mark.parametrize("kind", Kind)
def test_each_audience_reads_exactly_the_fields_of_the_matrix(kind: Kind) -> None:
    got = messages(of_kind(kind))
    expected = {
        addressee: keys
        for audience, keys in zip(Audience, MATRIX[kind], strict=True)
        if keys is not None
        for addressee in OWN[audience]
    }
    assert {addressee: set(plain(message)) for addressee, message in got.items()} == expected


def test_the_policy_has_a_cell_for_every_kind_and_audience() -> None:
    assert set(POLICY) == set(Kind)
    assert {tuple(row) for row in POLICY.values()} == {tuple(Audience)}


def test_what_the_policy_grants_are_fields_of_facts_and_of_the_message() -> None:
    fields = {name for row in POLICY.values() for cell in row.values() for name in cell or ()}
    assert fields <= set(AlarmFacts.__dataclass_fields__)
    assert fields <= set(AlarmView.model_fields)


@pytest.mark.proves("G7")
def test_an_alarm_has_no_field_for_names_or_phone_numbers() -> None:
    assert not [name for name in AlarmView.model_fields if "phone" in name or "name" in name or "person" in name]


@pytest.mark.proves("N4", "A3")
@given(FACTS)
def test_duress_is_for_the_police_and_silent_whatever_else_is_true(facts: AlarmFacts) -> None:
    duress = dataclasses.replace(facts, kind=Kind.DURESS)
    assert set(messages(duress)) == {"police"}
    assert neighbours(duress, MEMBERSHIP) == ()
    assert siren(duress, MEMBERSHIP) is None


@pytest.mark.proves("N4")
@given(FACTS, *[st.sampled_from([None, GroupId("another"), MEMBERSHIP.group])] * 2)
def test_an_unknown_group_leaves_nobody_but_the_police(
    facts: AlarmFacts, group: GroupId | None, register: GroupId | None
) -> None:
    """Unknown to the press, unknown to the register, or not the same in both."""
    stranger, membership = dataclasses.replace(facts, group=group), dataclasses.replace(MEMBERSHIP, group=register)
    if group is None or group != register:
        assert set(messages(stranger, membership)) <= {"police"}
        assert neighbours(stranger, membership) == ()
        assert siren(stranger, membership) is None


@pytest.mark.proves("N4")
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.TAMPER])
def test_every_alarm_but_tampering_reaches_the_police_even_with_nothing_known(kind: Kind) -> None:
    assert set(messages(AlarmFacts(kind=kind, group=None), Membership(station=MEMBERSHIP.station))) == {"police"}


@pytest.mark.proves("N4")
@given(FACTS)
def test_no_condition_ever_widens_what_the_table_grants(facts: AlarmFacts) -> None:
    for audience in Audience:
        fields = granted(facts, MEMBERSHIP, audience)
        cell = POLICY[facts.kind][audience]
        assert fields is None or (cell is not None and set(fields) <= set(cell))


@given(FACTS)
def test_the_presser_and_the_excluded_are_never_told(facts: AlarmFacts) -> None:
    told = set(messages(facts))
    assert told <= EVERY_ADDRESSEE
    assert not told & {f"household:{PRESSER}", f"household:{EXCLUDED}"}
    assert not {PRESSER, EXCLUDED} & set(neighbours(facts, MEMBERSHIP))


@given(FACTS)
def test_who_gets_a_message_gets_the_siren_frame_and_nobody_else(facts: AlarmFacts) -> None:
    by_message = {addressee for addressee in messages(facts) if addressee.startswith("household:")}
    assert {f"household:{household}" for household in neighbours(facts, MEMBERSHIP)} == by_message
    assert (siren(facts, MEMBERSHIP) is not None) is bool(by_message)


def test_without_neighbours_the_pressers_own_siren_still_sounds() -> None:
    alone = dataclasses.replace(MEMBERSHIP, households=frozenset({PRESSER}))
    assert neighbours(PANIC, alone) == ()
    assert siren(PANIC, alone) is Kind.PANIC


def test_a_press_of_nobodys_key_tells_every_household_of_the_group() -> None:
    """A key in a hallway belongs to a group and to no household."""
    hallway = dataclasses.replace(PANIC, place=None)
    assert neighbours(hallway, MEMBERSHIP) == (PRESSER, NEXT_DOOR, OPPOSITE)


@pytest.mark.proves("N4", "G7")
def test_neighbours_cannot_tell_medical_from_help_without_consent() -> None:
    medical, help_ = (messages(of_kind(kind)) for kind in (Kind.MEDICAL, Kind.HELP))
    for household in OWN[Audience.NEIGHBOUR]:
        assert plain(medical[household]) == plain(help_[household])
        assert medical[household].word_zh == "求助"
    assert siren(of_kind(Kind.MEDICAL), MEMBERSHIP) is Kind.HELP


def test_with_consent_neighbours_read_medical_and_hear_its_pattern() -> None:
    facts = of_kind(Kind.MEDICAL, medical_consent=True)
    assert messages(facts)[f"household:{NEXT_DOOR}"].word_zh == "医疗求助"
    assert siren(facts, MEMBERSHIP) is Kind.MEDICAL


@pytest.mark.parametrize("audience", [Audience.POLICE, Audience.COMMUNITY, Audience.GRID])
def test_those_on_duty_read_medical_as_medical(audience: Audience) -> None:
    assert shown(of_kind(Kind.MEDICAL), audience)[0] is Kind.MEDICAL


def test_consent_to_medical_changes_nothing_about_other_kinds() -> None:
    for kind in set(Kind) - {Kind.MEDICAL}:
        assert messages(of_kind(kind, medical_consent=True)) == messages(of_kind(kind))


@pytest.mark.proves("A11")
@pytest.mark.parametrize("kind", [Kind.PANIC, Kind.FIRE, Kind.DRILL])
def test_a_drill_is_marked_for_everybody_and_sounds_as_a_drill(kind: Kind) -> None:
    facts = of_kind(kind, mark=Mark.DRILL)
    assert set(messages(facts)) == EVERY_ADDRESSEE
    assert {message.mark for message in messages(facts).values()} == {Mark.DRILL}
    assert siren(facts, MEMBERSHIP) is Kind.DRILL


@pytest.mark.proves("A11")
@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.TAMPER, Kind.DRILL}))
def test_a_test_is_marked_goes_to_the_desk_and_disturbs_nobody(kind: Kind) -> None:
    facts = of_kind(kind, mark=None if kind is Kind.TEST else Mark.TEST)
    assert {addressee: message.mark for addressee, message in messages(facts).items()} == {"police": Mark.TEST}
    assert siren(facts, MEMBERSHIP) is None


def test_an_alarm_in_earnest_has_no_mark() -> None:
    assert {message.mark for message in messages(PANIC).values()} == {None}


def test_a_fixed_code_key_rings_as_usual_and_those_on_duty_see_that_it_is_unverified() -> None:
    got = messages(dataclasses.replace(PANIC, verified=False))
    assert set(got) == EVERY_ADDRESSEE
    assert {addressee for addressee, message in got.items() if message.verified is False} == (
        OWN[Audience.POLICE] | OWN[Audience.COMMUNITY] | OWN[Audience.GRID]
    )


@pytest.mark.proves("N13")
def test_what_cannot_be_verified_at_all_is_shown_to_the_police_and_rings_nowhere() -> None:
    facts = of_kind(Kind.UNVERIFIED, verified=False, reason="unknown_unit")
    assert set(messages(facts)) == {"police"}
    assert messages(facts)["police"].reason == "unknown_unit"
    assert siren(facts, MEMBERSHIP) is None


@pytest.mark.parametrize("kind", sorted(set(Kind) - AUDIBLE))
def test_silent_kinds_play_no_pattern(kind: Kind) -> None:
    assert siren(of_kind(kind), MEMBERSHIP) is None


def test_a_group_without_community_or_grid_still_reaches_police_and_neighbours() -> None:
    lone = dataclasses.replace(MEMBERSHIP, community=None, grid=None)
    assert set(messages(PANIC, lone)) == OWN[Audience.POLICE] | OWN[Audience.NEIGHBOUR]


@pytest.mark.parametrize("size", [1, 2, 30])
def test_a_group_has_any_number_of_households(size: int) -> None:
    group = dataclasses.replace(
        MEMBERSHIP,
        households=frozenset(HouseholdId(f"h{number:02}") for number in range(1, size + 1)),
        excluded=frozenset(),
    )
    assert len(neighbours(PANIC, group)) == size - 1


@given(FACTS)
def test_every_view_stands_on_the_topic_of_its_audience(facts: AlarmFacts) -> None:
    for view in views(facts, MEMBERSHIP):
        assert parse(view.topic).audience == parse(view.update_topic).audience == view.addressee
        assert view.topic.endswith("/alarm")
        assert view.update_topic.endswith("/update")


def test_views_come_police_first_and_in_a_fixed_order() -> None:
    assert [view.addressee for view in views(PANIC, MEMBERSHIP)] == [
        "police",
        f"community:{COMMUNITY}",
        f"grid:{GRID}",
        f"household:{NEXT_DOOR}",
        f"household:{OPPOSITE}",
    ]
