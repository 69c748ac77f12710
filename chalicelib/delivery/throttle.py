"""How fast a lane may go: the generic cell rate algorithm over slots, bursts with pauses, and a quota of 24 hours.

A slot is the moment for one recipient. Slots of a lane never overlap and are `1 / pace` seconds apart; one may be
used until a second after its moment. So in any T seconds there are at most `rate * T` sends and a burst of one
second's worth, however many workers there are.

Urgent mails are those that a person waits for, such as one to sign in with: they take the next slot even where others
would have to come back later, go through the pauses between bursts, and have the last part of the quota to themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.delivery.models import PUSH, Lane, LaneMinute
from chalicelib.settings import settings

#: A slice takes at most so many messages.
MAX_MESSAGES = 10
#: A worker reserves for several slices, but at most so many messages and seconds, which begin no later than this.
MAX_RESERVED = 100
AHEAD = timedelta(seconds=2)
#: An urgent mail may wait so long for its slot; a worker's slots are all over by then.
URGENT_AHEAD = timedelta(seconds=10)
#: A slot not used so long after its moment is lost.
BURST = timedelta(seconds=1)
DAY = timedelta(hours=24)
#: So much of the quota, and no more than so many recipients, is kept for urgent mails.
KEPT_SHARE, KEPT_MOST = 0.02, 500
#: After a "too fast" the pace is halved, and comes back by so much of the rate each second.
RECOVERY_PER_SECOND = 0.01
SLOWEST = 0.05
#: Whatever a mail service says of its limits, a lane that is open goes at least so fast, in recipients per second.
LEAST_RATE = 0.01


@dataclass(frozen=True)
class Limits:
    """Pauses set for the installation: after `burst` recipients (0: never) the lane rests for `pause` seconds."""

    burst: int = 0
    pause: float = 0.0


@dataclass(frozen=True)
class Pace:
    """The state of a lane, as far as its speed goes; the fields are those of models.Lane."""

    rate: float
    pace: float
    paced_at: datetime
    next_slot: datetime
    burst_used: int
    quota: int
    sent_24h: int
    rest_until: datetime | None = None

    def speed(self, now: datetime) -> float:
        """Return the present speed in recipients per second."""
        recovered = self.rate * RECOVERY_PER_SECOND * max(0.0, (now - self.paced_at).total_seconds())
        return min(self.rate, self.pace + recovered)

    def quota_left(self, *, urgent: bool = False) -> int | None:
        """Return how many recipients the quota still allows; None for no quota."""
        if self.quota < 0:
            return None
        kept = 0 if urgent else min(KEPT_MOST, int(self.quota * KEPT_SHARE))
        return max(0, self.quota - kept - self.sent_24h)

    def free_at(self, now: datetime) -> datetime:
        """Return when the next slot is that is not urgent."""
        return max(self.next_slot, now, self.rest_until or now)


@dataclass(frozen=True)
class Grant:
    """Slots for the first `messages` of the costs asked for: recipient n of them has its slot at first + n*spacing.

    `idle_seconds`: for so long the lane had no slot in use before these, although it might have.
    """

    messages: int
    cost: int
    first: datetime
    spacing: timedelta
    idle_seconds: float = 0.0

    @property
    def idle_share(self) -> float:
        """How large a part of the time it stood idle, were it always so before slots are reserved."""
        return self.idle_seconds / (self.idle_seconds + (self.cost * self.spacing).total_seconds())

    @property
    def end(self) -> datetime:
        """The moment of the first slot that is not of these."""
        return self.first + self.cost * self.spacing

    def seconds_until_first(self) -> float:
        """Return how long it is until the first slot."""
        return (self.first - clock.now()).total_seconds()

    def window(self, cost: int) -> tuple[datetime, datetime]:
        """Return from when to when the next message, of `cost`, may go.

        It waits for its last slot and may not outlive its first by more than the burst.
        """
        last = self.first + (cost - 1) * self.spacing
        return last, max(self.first + BURST, last + BURST / 4)

    def after(self, cost: int) -> Grant | None:
        """Return what is left when the next message, of `cost`, has used its slots; None when nothing is."""
        if cost >= self.cost:
            return None
        first = self.first + cost * self.spacing
        return replace(self, messages=self.messages - 1, cost=self.cost - cost, first=first)


@dataclass(frozen=True)
class Wait:
    """There are no slots now: come back in `seconds`; None when only the quota, counted elsewhere, can tell."""

    seconds: float | None


def take(
    lane: Pace, now: datetime, costs: Sequence[int], limits: Limits, *, urgent: bool = False
) -> tuple[Pace, Grant | Wait]:
    """Reserve slots for as many messages of the given costs as may go now; return the lane's new state too."""
    if urgent:
        return _take_urgent(lane, now, costs)
    spacing = timedelta(seconds=1 / lane.speed(now))
    used = lane.burst_used
    if limits.burst and now >= lane.next_slot + timedelta(seconds=limits.pause):
        used = 0  # it rested long enough by itself
    first = lane.free_at(now)
    if first > now + AHEAD:
        return lane, Wait((first - now).total_seconds())
    room = lane.quota_left()
    messages = cost = 0
    for each in costs[:MAX_RESERVED]:
        total = cost + each
        if room is not None and total > room:
            break
        too_far = total * spacing > AHEAD
        over_burst = limits.burst > 0 and used + total > limits.burst
        alone = messages == 0  # a single message may be dearer than two seconds' slots or a whole burst
        if (too_far and not alone) or (over_burst and not (alone and used == 0)):
            break
        messages, cost = messages + 1, total
    if not messages:
        if room is not None and costs and costs[0] > room:
            return lane, Wait(None)
        return _rested(lane, first, limits), Wait((first - now).total_seconds() + limits.pause)
    changed, grant = _granted(lane, now, first, messages, cost)
    changed = replace(changed, burst_used=used + cost)
    if limits.burst and changed.burst_used >= limits.burst:
        changed = _rested(changed, grant.end, limits)
    return changed, grant


def _take_urgent(lane: Pace, now: datetime, costs: Sequence[int]) -> tuple[Pace, Grant | Wait]:
    first, cost, room = max(lane.next_slot, now), sum(costs), lane.quota_left(urgent=True)
    if room is not None and cost > room:
        return lane, Wait(None)
    if first > now + URGENT_AHEAD:
        return lane, Wait((first - now).total_seconds())
    return _granted(lane, now, first, len(costs), cost)


def _granted(lane: Pace, now: datetime, first: datetime, messages: int, cost: int) -> tuple[Pace, Grant]:
    spacing = timedelta(seconds=1 / lane.speed(now))
    idle = (first - max(lane.next_slot, lane.rest_until or lane.next_slot)).total_seconds()
    grant = Grant(messages, cost, first, spacing, idle)
    return replace(lane, next_slot=grant.end, sent_24h=lane.sent_24h + cost), grant


def _rested(lane: Pace, first: datetime, limits: Limits) -> Pace:
    return replace(lane, rest_until=first + timedelta(seconds=limits.pause), burst_used=0)


def seconds_for(lane: Pace, now: datetime, cost: int, limits: Limits) -> float:
    """Return how long `cost` recipients take from now, with pauses and days of quota, if nothing else is sent."""
    if cost <= 0:
        return 0.0
    seconds = (lane.free_at(now) - now).total_seconds() + cost / lane.speed(now)
    if limits.burst:
        seconds += (lane.burst_used + cost - 1) // limits.burst * limits.pause
    left = lane.quota_left()
    if left is not None and cost > left:
        seconds += -((left - cost) // max(1, lane.quota)) * DAY.total_seconds()
    return seconds


# -- the same with the lane's row

_LOCK = select(
    Lane.rate, Lane.pace, Lane.paced_at, Lane.next_slot, Lane.burst_used, Lane.quota, Lane.sent_24h, Lane.rest_until,
    Lane.counted_at, Lane.is_closed,
).where(Lane.name == bindparam("lane"))  # fmt: skip

# One round trip: the minute's count and the lane change together.
_STORE = text("""
    WITH counted AS (
        INSERT INTO ontask.lane_minute AS m (lane, minute, sent) VALUES (:lane, :minute, :cost)
        ON CONFLICT (lane, minute) DO UPDATE SET sent = m.sent + excluded.sent
    )
    UPDATE ontask.lane SET next_slot = :next_slot, burst_used = :burst_used, sent_24h = :sent_24h,
           rest_until = CAST(:rest_until AS timestamptz), counted_at = :minute, served_at = :now
    WHERE name = :lane
""")


def limits(lane: str) -> Limits:
    """Return the installation's pauses; they are for mails."""
    config = settings()
    return Limits() if lane.startswith(PUSH) else Limits(config.email_burst, config.email_burst_pause)


def _first(lane: str) -> tuple[float, int]:
    """Return the rate and the quota with which a lane begins."""
    config = settings()
    return (config.push_rate, -1) if lane.startswith(PUSH) else (config.mail_rate, config.mail_daily_quota)


def ensure(session: Session, lane: str) -> None:
    """Make the lane's row if there is none, with the speed and quota of the settings."""
    now, (rate, quota) = clock.now(), _first(lane)
    row = {
        "name": lane, "rate": rate, "pace": rate, "paced_at": now, "next_slot": now,
        "burst_used": 0, "quota": quota, "sent_24h": 0, "counted_at": now, "is_closed": False,
        "closed_reason": "",
    }  # fmt: skip
    session.execute(upsert(Lane).values(row).on_conflict_do_nothing())


def look(session: Session, lane: str) -> Pace:
    """Return the lane's state without reserving; a lane that is not there yet as it would be made."""
    return look_closely(session, lane)[0]


def look_closely(session: Session, lane: str) -> tuple[Pace, str]:
    """Return the same, and why the lane takes nothing just now; "" when it does."""
    found = select(*_LOCK.selected_columns, Lane.closed_reason, _recent(lane).scalar_subquery())
    row = session.execute(found.where(Lane.name == lane)).one_or_none()
    if row is None:
        now, (rate, quota) = clock.now(), _first(lane)
        return Pace(rate, rate, now, now, 0, quota, 0), ""
    return replace(Pace(*row[:8]), sent_24h=int(row[-1])), row.closed_reason if row.is_closed else ""


def reserve(session: Session, lane: str, costs: Sequence[int], *, urgent: bool = False) -> Grant | Wait:
    """Reserve slots for the first of `costs`; none of a closed lane. Commit before claiming the messages.

    Urgent ones are reserved together or not at all.
    """
    now = clock.now()
    row = session.execute(_LOCK.with_for_update(), {"lane": lane}).one_or_none()
    if row is None:
        ensure(session, lane)
        return reserve(session, lane, costs, urgent=urgent)
    if row.is_closed:
        return Wait(AHEAD.total_seconds())
    minute = now.replace(second=0, microsecond=0)
    state = Pace(*row[:8])
    if row.counted_at != minute:
        state = _counted(session, lane, state)
    changed, result = take(state, now, costs, limits(lane), urgent=urgent)
    values = {
        "next_slot": changed.next_slot, "burst_used": changed.burst_used, "sent_24h": changed.sent_24h,
        "rest_until": changed.rest_until,
    }  # fmt: skip
    cost = result.cost if isinstance(result, Grant) else 0
    session.execute(_STORE, {"lane": lane, "minute": minute, "cost": cost, "now": now, **values})
    if isinstance(result, Wait) and result.seconds is None:
        return Wait(_until_quota(session, lane, costs[0], urgent=urgent))
    return result


def give_back(session: Session, lane: str, cost: int, slots: Grant | None = None) -> None:
    """Take recipients out of the counts that were reserved but had no message.

    `slots` are theirs, unused: they are free again unless later ones are reserved, which makes them lost.
    """
    minute = clock.now().replace(second=0, microsecond=0)
    session.execute(
        upsert(LaneMinute)
        .values(lane=lane, minute=minute, sent=-cost)
        .on_conflict_do_update(index_elements=["lane", "minute"], set_={"sent": LaneMinute.sent - cost})
    )
    changes: dict[str, Any] = {
        "sent_24h": Lane.sent_24h - cost, "burst_used": func.greatest(0, Lane.burst_used - cost),
    }  # fmt: skip
    if slots is not None:
        changes["next_slot"] = case((Lane.next_slot == slots.end, slots.first), else_=Lane.next_slot)
    session.execute(update(Lane).where(Lane.name == lane).values(changes))


def slow_down(session: Session, lane: str) -> None:
    """Halve the lane's pace, at most once a second, and rest for a second: SES said "too fast"."""
    now = clock.now()
    row = session.execute(_LOCK.with_for_update(), {"lane": lane}).one()
    state = Pace(*row[:8])
    if now - state.paced_at < BURST and state.pace < state.rate:
        return
    pace = max(state.rate * SLOWEST, state.speed(now) / 2)
    next_slot = max(state.next_slot, now + BURST)
    session.execute(update(Lane).where(Lane.name == lane).values(pace=pace, paced_at=now, next_slot=next_slot))


def rest(session: Session, lane: str, seconds: float) -> None:
    """Give no slots for so long: the other side asked for it, or is not there."""
    until = clock.now() + timedelta(seconds=seconds)
    session.execute(update(Lane).where(Lane.name == lane, Lane.next_slot < until).values(next_slot=until))


def set_limits(session: Session, lane: str, *, rate: float, quota: int, sent_24h: int) -> None:
    """Take over SES's own limits (a quota below 0 is none) and what it counted in the last 24 hours."""
    now, rate = clock.now(), max(rate, LEAST_RATE)
    row = session.execute(_LOCK.with_for_update(), {"lane": lane}).one()
    state = Pace(*row[:8])
    ours = _counted(session, lane, state).sent_24h
    pace = rate if state.pace >= state.rate else min(state.pace, rate)
    if sent_24h > ours:  # other programs send too; when is unknown, so as if it were now
        minute = now.replace(second=0, microsecond=0)
        session.execute(
            upsert(LaneMinute)
            .values(lane=lane, minute=minute, sent=sent_24h - ours)
            .on_conflict_do_update(
                index_elements=["lane", "minute"], set_={"sent": LaneMinute.sent + (sent_24h - ours)}
            )
        )
    session.execute(
        update(Lane)
        .where(Lane.name == lane)
        .values(rate=rate, pace=pace, quota=quota, sent_24h=max(ours, sent_24h), limits_at=now)
    )


def forget_old_minutes(session: Session) -> None:
    """Drop counts that no quota looks at any more."""
    session.execute(text("DELETE FROM ontask.lane_minute WHERE minute < :old"), {"old": clock.now() - 2 * DAY})


def _counted(session: Session, lane: str, state: Pace) -> Pace:
    return replace(state, sent_24h=int(session.scalar(_recent(lane)) or 0))


def _recent(lane: str) -> Select[int]:
    recent = (LaneMinute.lane == lane) & (LaneMinute.minute > clock.now() - DAY)
    return select(func.coalesce(func.sum(LaneMinute.sent), 0)).where(recent)


def _until_quota(session: Session, lane: str, cost: int, *, urgent: bool) -> float:
    """Return the seconds until so many old recipients fall out of the 24 hours that `cost` new ones fit in."""
    now = clock.now()
    state = look(session, lane)
    missing = cost - (state.quota_left(urgent=urgent) or 0)
    freed = 0
    recent = (LaneMinute.lane == lane) & (LaneMinute.minute > now - DAY)
    for minute, sent in session.execute(
        select(LaneMinute.minute, LaneMinute.sent).where(recent).order_by(LaneMinute.minute)
    ):
        freed += sent
        if freed >= missing:
            return max(60.0, (minute + DAY + timedelta(minutes=1) - now).total_seconds())
    return timedelta(hours=1).total_seconds()
