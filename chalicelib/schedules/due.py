"""`run_due` and `tidy`: what alarms and the daily rule do. An alarm with nothing due is harmless."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete

from chalicelib import clock, database
from chalicelib.accounts import once, passwords, repeats, sessions
from chalicelib.actions import images
from chalicelib.actions.surveys import answers
from chalicelib.audit import retention
from chalicelib.delivery import attachments, drafts, throttle
from chalicelib.delivery import due as delivery
from chalicelib.delivery.letters import service as letters
from chalicelib.exchange import service as exchange
from chalicelib.schedules import occurrences, service
from chalicelib.schedules.models import DONE, FAILED, Job
from chalicelib.settings import settings
from chalicelib.tables.history import versions
from chalicelib.workflows import learners, trash

#: Ended jobs are kept for this long, for people who look back.
KEEP_JOBS = timedelta(days=90)


def run_due() -> None:
    """Wake whoever has something to do now, and set the next alarm."""
    with database.scope() as session:
        for job_id in service.due_jobs(session):
            service.wake(session, settings().jobs_queue, {"job": job_id})
        occurrences.begin_due(session)
        following = service.next_due(session)
        if following is not None:
            service.alarm(session, following)
    with database.scope() as session:
        delivery.look(session)
    letters.collect()


def tidy() -> None:
    """Do the daily round: everything `run_due` does, in case an alarm was lost, and forget what is over."""
    run_due()
    with database.scope() as session:
        sessions.remove_expired(session)
        once.forget_old(session)
        passwords.remove_old_failures(session)
        repeats.forget_old(session)
        for workflow_id in learners.with_column(session):
            service.enqueue_once(session, learners.REFRESH, workflow_id)
        trash.ask_purge(session)
        retention.ask_archive(session)
        for _, workflow_id in versions.over_budget(session)[:1]:
            service.enqueue_once(session, versions.TRIM, workflow_id)
        throttle.forget_old_minutes(session)
        letters.forget_old(session)
        exchange.expire(session)
        drafts.forget_old(session)
        answers.look_after(session)
        service.enqueue_once(session, images.SWEEP, None)
        service.enqueue_once(session, attachments.SWEEP, None)
        old = Job.state.in_([DONE, FAILED]) & (Job.ended_at < clock.now() - KEEP_JOBS)
        session.execute(delete(Job).where(old))
