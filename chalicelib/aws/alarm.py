"""EventBridge Scheduler: one-shot alarms named by the minute in which something is due."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from chalicelib import clock, errors
from chalicelib.aws.client import client
from chalicelib.settings import settings

#: Longer than a transaction may last: the alarm must not go off before the row it is for is visible.
LEAD = timedelta(minutes=2)


def minute_for(due_at: datetime) -> datetime:
    """Return the minute in which an alarm for `due_at` goes off: never sooner than two minutes from now."""
    instant = max(due_at, clock.now() + LEAD).astimezone(UTC)
    whole = instant.replace(second=0, microsecond=0)
    return whole if whole == instant else whole + timedelta(minutes=1)


def name_of(minute: datetime) -> str:
    """Return the alarm's name, such as `due-20261124T1005`."""
    return f"due-{minute:%Y%m%dT%H%M}"


def set_alarm(due_at: datetime) -> str:
    """Have `run_due` invoked at or shortly after `due_at`; return the alarm's name. One that exists is fine.

    Raises errors.Unavailable when Scheduler can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    minute = minute_for(due_at)
    name = name_of(minute)
    config = settings()
    try:
        client("scheduler").create_schedule(
            Name=name,
            GroupName=config.scheduler_group,
            ScheduleExpression=f"at({minute:%Y-%m-%dT%H:%M:%S})",
            ScheduleExpressionTimezone="UTC",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={
                "Arn": config.run_due_arn,
                "RoleArn": config.scheduler_role_arn,
                "Input": json.dumps({"due": f"{minute:%Y%m%dT%H%M}"}),
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConflictException":
            raise errors.Unavailable("The alarm clock can't be reached just now. Please try again.") from error
    except BotoCoreError as error:
        raise errors.Unavailable("The alarm clock can't be reached just now. Please try again.") from error
    return name


def names() -> set[str]:
    """Return the names of all alarms that are set.

    Raises errors.Unavailable when Scheduler can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        pages = client("scheduler").get_paginator("list_schedules").paginate(GroupName=settings().scheduler_group)
        return {entry["Name"] for page in pages for entry in page["Schedules"]}
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The alarm clock can't be reached just now. Please try again.") from error
