"""Carrier sense: since when a line is silent, for whoever hears it in pieces of any size."""

from __future__ import annotations

from devices.timing import LineTiming


class Carrier:
    """What one end knows about the silence of its line. Times are monotonic nanoseconds."""

    def __init__(self, timing: LineTiming) -> None:
        self._timing = timing
        self._heard_ns = 0
        self._sent_until_ns = 0
        self._frame_since_ns: int | None = None

    def heard(self, now_ns: int, *, inside_frame: bool, began: bool = False) -> None:
        """Something was heard; `inside_frame`: it stopped in the middle of a frame, `began`: that began in it.

        The rest of such a frame is taken to be on its way for as long as a frame takes, not for longer: a
        lone disturbance, or a frame that lost its end, keeps the line busy for one frame.
        """
        self._heard_ns = now_ns
        if not inside_frame:
            self._frame_since_ns = None
        elif began or self._frame_since_ns is None or now_ns >= self._frame_since_ns + self._timing.frame_ns:
            self._frame_since_ns = now_ns

    def sends(self, now_ns: int, octets: int) -> None:
        """This end puts `octets` bytes on the wire now, and hears nothing meanwhile."""
        self._sent_until_ns = now_ns + self._timing.wire_ns(octets)

    @property
    def clean(self) -> bool:
        """Whether what was heard last was the end of a frame."""
        return self._frame_since_ns is None

    @property
    def quiet_ns(self) -> int:
        """Since when the line is silent; in the future while somebody sends."""
        heard_ns = self._heard_ns
        if self._frame_since_ns is not None:
            heard_ns = max(heard_ns, self._frame_since_ns + self._timing.frame_ns)
        return max(heard_ns, self._sent_until_ns)
