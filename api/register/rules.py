"""What may not be in a register, and the words for it: pure. Edits and imports ask the same rules."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from api.register.models import Meaning, Tree
from api.register.snapshot import Contents, Snapshot
from broker.kinds import Words

GROUP_MOST: Final = 30
"""Households of one group, at most."""
NAME_CHARS: Final = 64
TEXT_CHARS: Final = 200

WORDS: Final = {
    "area_unknown": Words("没有编号为 {value} 的区域", "there is no area {value}"),
    "place_unknown": Words("没有编号为 {value} 的场所", "there is no place {value}"),
    "unit_unknown": Words("没有编号为 {value} 的报警器", "there is no unit {value}"),
    "level_unknown": Words("没有编号为 {value} 的层级", "there is no level {value}"),
    "account_unknown": Words("没有编号为 {value} 的账号", "there is no account {value}"),
    "company_unknown": Words("没有编号为 {value} 的公司", "there is no company {value}"),
    "gateway_unknown": Words("没有编号为 {value} 的网关", "there is no gateway {value}"),
    "not_a_group": Words("{value} 不是联防组", "{value} is not a group"),
    "taken": Words("编号 {value} 已被使用(也不能再次使用)", "the id {value} is taken, or was once"),
    "cycle": Words("{value} 会包含它自己", "{value} would lie in itself"),
    "wrong_tree": Words("{value} 不在这棵树上", "{value} does not stand on that tree"),
    "level_order": Words(
        "{value} 的层级不比它里面的区域高", "the level of {value} is not above that of what would lie in it"
    ),
    "grid_without_community": Words("网格 {value} 不在任何社区里", "grid {value} lies in no community"),
    "group_is_full": Words("联防组 {value} 超过 30 户", "group {value} would have more than 30 households"),
    "group_is_empty": Words("联防组 {value} 没有住户", "group {value} has no household"),
    "area_in_use": Words("{value} 里面还有区域或场所", "something still lies in {value}"),
    "station_stays": Words("本派出所不能关闭", "the station itself cannot be closed"),
    "no_group": Words("场所 {value} 没有联防组", "place {value} has no group"),
    "place_in_use": Words("{value} 还有住户或报警器", "somebody lives in {value}, or a unit hangs there"),
    "vacant": Words("{value} 现在没有住户", "nobody lives in {value} now"),
    "not_lent": Words("{value} 没有出借", "{value} is not lent"),
    "itself": Words("{value} 不能指向它自己", "{value} cannot name itself"),
    "needs_consent": Words("没有 {value} 的书面同意", "there is no consent to {value}"),
    "twice": Words("{value} 出现了两次", "{value} is there twice"),
    "address_taken": Words("地址 {value} 已被另一台报警器使用", "the address {value} is another unit's"),
    "hangs": Words("报警器 {value} 还装在墙上", "unit {value} still hangs on a wall"),
    "hangs_nowhere": Words("报警器 {value} 没有装在任何地方", "unit {value} hangs nowhere"),
    "out_of_use": Words("报警器 {value} 已丢失或报废", "unit {value} is lost or scrapped"),
    "not_native": Words("报警器 {value} 不接在串口线路上,没有密钥", "unit {value} is on no serial line: it has no key"),
    "key_is_another": Words("公钥属于另一个网关 {value}", "that is the public key of gateway {value}"),
    "changed_meanwhile": Words("{value} 在此期间已被他人修改", "{value} was changed by somebody else meanwhile"),
    "nothing_changes": Words("{value} 没有任何变化", "nothing of {value} would change"),
    "planner_gone": Words("计划人 {value} 已无此权限", "whoever planned it may not do that any more: {value}"),
    "words_erased": Words("{value} 的计划内容已删除", "what was planned for {value} has been erased"),
    "needs_line": Words("报警器 {value} 要有网关、线路和地址", "unit {value} needs a gateway, a line and an address"),
}  # fmt: skip
"""What is wrong, by its code: `{value}` is the id that it is about."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that cannot be. `about` is an id."""

    code: str
    about: str

    @property
    def words(self) -> Words:
        """In both languages."""
        words = WORDS[self.code]
        return Words(words.zh.format(value=self.about), words.en.format(value=self.about))


def faults(contents: Contents) -> Iterator[Fault]:
    """Everything that is wrong with the whole, whatever each part is like."""
    yield from _references(contents)
    snapshot = Snapshot(contents)
    yield from _circles(snapshot)
    for area in snapshot.areas.values():
        if area.meaning is Meaning.GRID and snapshot.nearest(area.id, Meaning.COMMUNITY) is None:
            yield Fault("grid_without_community", area.id)
    yield from sizes(snapshot, snapshot.groups)
    yield from _addresses(contents)


def parents(snapshot: Snapshot, area: str, level: str, parent: str | None, tree: Tree) -> Iterator[Fault]:
    """What is against `area`, which is of `level`, lying in `parent` on a tree."""
    if parent is None:
        return
    above = snapshot.areas.get(parent)
    if above is None:
        yield Fault("area_unknown", parent)
        return
    if parent == area:
        yield Fault("cycle", area)
        return
    if snapshot.levels[above.level].tree is not tree:
        yield Fault("wrong_tree", parent)
        return
    own = snapshot.levels[level]
    if own.tree is tree and snapshot.levels[above.level].rank > own.rank:
        yield Fault("level_order", parent)
    chain = [parent]
    while (above := snapshot.areas.get(chain[-1])) is not None:
        following = above.parent if tree is Tree.GOVERNMENT else above.police_parent
        if following is None or following in chain:
            break
        if following == area:
            yield Fault("cycle", area)
            break
        chain.append(following)


def sizes(snapshot: Snapshot, groups: Iterable[str]) -> Iterator[Fault]:
    """Which of these groups have too many households."""
    for group in groups:
        if len(snapshot.members.get(snapshot.groups[group].id, ())) > GROUP_MOST:  # type: ignore[index] # ids are texts
            yield Fault("group_is_full", group)


def empty(snapshot: Snapshot) -> Iterator[Fault]:
    """Which groups have nobody: while a group is set up that may be, in an import it may not."""
    for group in snapshot.groups:
        if not snapshot.members.get(group):
            yield Fault("group_is_empty", group)


def _references(contents: Contents) -> Iterator[Fault]:
    areas = {area.id: area for area in contents.areas}
    places = {place.id for place in contents.places}
    levels = {level.id for level in contents.levels}
    for area in contents.areas:
        if area.level not in levels:
            yield Fault("level_unknown", area.level)
    for place in contents.places:
        if place.group is not None and place.group not in areas:
            yield Fault("area_unknown", place.group)
        elif place.group is not None and areas[place.group].meaning is not Meaning.GROUP:
            yield Fault("not_a_group", place.group)
        for excluded in place.excludes - places:
            yield Fault("place_unknown", excluded)
    for unit in contents.units:
        if unit.place not in places:
            yield Fault("place_unknown", unit.place)


def _circles(snapshot: Snapshot) -> Iterator[Fault]:
    for area in snapshot.areas.values():
        if area.level in snapshot.levels:
            yield from parents(snapshot, area.id, area.level, area.parent, Tree.GOVERNMENT)
            yield from parents(snapshot, area.id, area.level, area.police_parent, Tree.POLICE)


def _addresses(contents: Contents) -> Iterator[Fault]:
    seen: dict[tuple[str, str, int], str] = {}
    for unit in contents.units:
        if unit.gateway is not None and unit.line is not None and unit.address is not None:
            key = (str(unit.gateway), unit.line, unit.address)
            if seen.setdefault(key, unit.id) != unit.id:
                yield Fault("address_taken", f"{unit.gateway}/{unit.line}/{unit.address}")
