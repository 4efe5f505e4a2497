"""The demo's witnesses at the broker, who also outlive a broker, and whose findings the checker reads."""

from deploy.observers import Witnesses
from faults.sets import Delivery


class Watch(Witnesses):
    """They connect anew by themselves, with nothing kept for them meanwhile: as whatever can ring does."""

    def wait_subscribed(self, *, times: int) -> None:
        """Wait until everybody has subscribed so often: once at the beginning, once after each loss of the broker."""
        self._box.wait_until(
            lambda: all(self._said(one).read_bytes().count(b"received SUBACK") >= times for one in self.audiences),
            f"all witnesses have subscribed {times} times",
            timeout_s=60,
        )

    def delivered(self) -> dict[str, list[Delivery]]:
        """What every audience got so far, in order."""
        return {audience: self._delivered(audience) for audience in self.audiences}

    def _delivered(self, audience: str) -> list[Delivery]:
        arrivals = self.arrivals(audience)
        if arrivals and not arrivals[-1].body:
            arrivals.pop()  # it is being written just now
        return [Delivery(one.topic, one.retained, one.body) for one in arrivals]
