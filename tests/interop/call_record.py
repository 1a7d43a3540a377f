"""What one call between two peers of a library has come to, and whether that is what it should be."""

from dataclasses import dataclass, field

# A busy machine may hold back an echo for some seconds; what a server lets lapse comes back after minutes, or never.
LONGEST_GAP = 20
CONNECT_LIMIT = 90
SIDES = ("A", "B")
OVER = ("failed", "closed")


@dataclass
class Side:
    """What one of the two has said."""

    state: str = "new"
    sent: int = 0
    heard: int = 0
    heard_at: float | None = None
    longest_gap: float = 0

    def take(self, news, now):
        self.state = news.get("state", self.state)
        self.sent = news.get("sent", self.sent)
        if "heard" in news:
            self.longest_gap = self.gap(now)
            self.heard, self.heard_at = self.heard + 1, now

    def gap(self, now):
        """The longest time without an echo, up to now."""
        return max(self.longest_gap, now - self.heard_at) if self.heard_at else 0


@dataclass
class Record:
    """One call; times are in seconds, from any start."""

    library: str
    way: str
    begun: float
    sides: dict = field(default_factory=lambda: {side: Side() for side in SIDES})
    opened: float | None = None
    ended: float | None = None
    end: str = ""

    def take(self, side, news, now):
        if self.ended is not None:
            return
        self.sides[side].take(news, now)
        if self.opened is None and all(each.heard for each in self.sides.values()):
            self.opened = now
        if news.get("state") in OVER:
            self.finish(now, f"{side} {news['state']}")

    def is_over(self, seconds, now):
        """Whether it has failed, or lived for `seconds`; looked at once a second."""
        if self.ended is not None:
            return True
        if self.opened is None and now - self.begun > CONNECT_LIMIT:
            self.finish(now, "never connected")
        elif self.opened is not None and now - self.opened >= seconds:
            self.finish(now, "")
        return self.ended is not None

    def finish(self, now, end):
        if self.ended is None:
            self.ended, self.end = now, end
            for side in self.sides.values():
                side.longest_gap = side.gap(now)

    @property
    def longest_gap(self):
        return max(side.longest_gap for side in self.sides.values())

    @property
    def fault(self):
        """Empty if all was well."""
        if self.end:
            return self.end
        for name, side in self.sides.items():
            if side.state not in ("connected", "completed"):
                return f"{name} {side.state}"
            # the channel is a reliable one: what is not back by now is on its way, or lost with all behind it
            if side.sent - side.heard > LONGEST_GAP:
                return f"{name} lost {side.sent - side.heard}"
        return f"silent for {self.longest_gap:.0f} s" if self.longest_gap > LONGEST_GAP else ""
