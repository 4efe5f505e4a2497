"""What can be wrong with an action on an alarm.

NotNow                  409: the alarm is not in a state for that. .action .state
SameHands               409: whoever handled it does not ask about it
NotChecked              409: nobody has asked or seen yet what was the matter
DoNotCall               409: 请勿回拨
KindRefused             409: it cannot become that kind
CannotLink              409: the two cannot be one incident
CannotSend              409: this account may not be sent to this alarm
NotOffered              409: no such offer waits for an answer
AskedDifferently        422: this Idempotency-Key was used for something else
NotARealPlace           422: there is no such place, or none that may be named here
FileRefused             415: not a kind of file that is kept
"""

from http import HTTPStatus

from api.alarms.rules import Action, State
from api.problems import Problem
from broker.kinds import Kind


class Refused(Problem):
    """It is understood, allowed, and cannot be done to this alarm as it stands."""

    status = HTTPStatus.CONFLICT
    type = "refused"
    title = "That cannot be done to this alarm"


class NotNow(Refused):
    """Not in this state. Fields: `action`, `state`."""

    type = "not_now"
    title = "Not in this state"

    def __init__(self, alarm: str, action: Action, state: State) -> None:
        self.action = action
        self.state = state
        super().__init__(f"{action} is not for an alarm that is {state}", alarm=alarm, action=action, state=state)


class SameHands(Refused):
    """Somebody else has to ask the household."""

    type = "same_hands"
    title = "The follow-up is for somebody who had no hand in it"

    def __init__(self) -> None:
        super().__init__("whoever handled an alarm does not follow it up; the duty leader may waive it with a reason")


class NotChecked(Refused):
    """Nobody has looked."""

    type = "not_checked"
    title = "Nobody has verified it yet"

    def __init__(self, kind: Kind) -> None:
        who = "police in person" if kind is Kind.DURESS else "a call back or somebody at the door"
        super().__init__(f"before an alarm is resolved it is verified: by {who}")


class DoNotCall(Refused):
    """A call may endanger whoever pressed."""

    type = "do_not_call"
    title = "请勿回拨: do not call back"

    def __init__(self) -> None:
        super().__init__("duress is verified by police in person")


class KindRefused(Refused):
    """Not from this kind to that one."""

    type = "kind_refused"
    title = "It cannot become an alarm of that kind"

    def __init__(self, before: Kind, after: Kind) -> None:
        super().__init__(f"{before} does not become {after}: what others see would come or go", kind=after)


class CannotLink(Refused):
    """Not one incident."""

    type = "cannot_link"
    title = "These two are not one incident"

    def __init__(self) -> None:
        super().__init__("only alarms in earnest that everybody may know of are linked")


class CannotSend(Refused):
    """Whoever would be sent may not know of it. Field: `accounts`."""

    type = "cannot_send"
    title = "They cannot be sent to this alarm"

    def __init__(self, accounts: list[str]) -> None:
        super().__init__("there is no such account or team, or it may not know of this alarm", accounts=accounts)


class NotOffered(Refused):
    """Nothing waits for that answer."""

    type = "not_offered"
    title = "There is no such offer"

    def __init__(self) -> None:
        super().__init__("it was answered or withdrawn, or it was never made to you")


class AskedDifferently(Problem):
    """The same key for another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "asked_differently"
    title = "This Idempotency-Key belongs to another request"

    def __init__(self) -> None:
        super().__init__("use a new key for each thing that is to be done once")


class NotARealPlace(Problem):
    """No such place for this account."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "no_such_place"
    title = "There is no such place"

    def __init__(self, place: str) -> None:
        super().__init__(f"no place {place[:64]!r} here")


class FileRefused(Problem):
    """What it is, by its content, is not kept."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    type = "file_refused"
    title = "This kind of file is not kept"

    def __init__(self) -> None:
        super().__init__("pictures (JPEG, PNG, WebP), sound (MP3, OGG, WAV) and PDF are kept")
