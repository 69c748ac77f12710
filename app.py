"""The Chalice application: it declares, `chalicelib` does.

Routes are in the blueprints. Every other function is declared here, because a handler in a blueprint would be
loaded without this module and its middleware (Chalice issue 1566). They load what they do when they are called: pages
start sooner without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice import Chalice, Cron, Response
from chalice.app import CloudWatchEvent, SQSEvent

from chalicelib import errors
from chalicelib.accounts.lti.routes import bp as launches
from chalicelib.accounts.routes import bp as accounts
from chalicelib.actions.condition_routes import bp as conditions
from chalicelib.actions.image_routes import bp as images
from chalicelib.actions.jsons.routes import bp as jsons
from chalicelib.actions.list_routes import bp as action_list
from chalicelib.actions.map_routes import bp as maps
from chalicelib.actions.preview_routes import bp as previews
from chalicelib.actions.reports.routes import bp as reports
from chalicelib.actions.routes import bp as actions
from chalicelib.actions.rubrics.routes import bp as rubrics
from chalicelib.actions.serving.routes import bp as serving
from chalicelib.actions.surveys import served_routes  # noqa: F401  declares pages at links
from chalicelib.actions.surveys.entry_routes import bp as survey_answers
from chalicelib.actions.surveys.routes import bp as surveys
from chalicelib.actions.version_routes import bp as versions
from chalicelib.audit.routes import bp as audit
from chalicelib.delivery.archives.routes import bp as archives
from chalicelib.delivery.letters.routes import bp as letters
from chalicelib.delivery.notices.routes import bp as notices
from chalicelib.delivery.routes import bp as sending
from chalicelib.delivery.run_routes import bp as runs
from chalicelib.delivery.schedule_routes import bp as schedules
from chalicelib.delivery.statistics_routes import bp as statistics
from chalicelib.delivery.timeline_routes import bp as timelines
from chalicelib.delivery.tracking import bp as tracking
from chalicelib.exchange.routes import bp as exchange
from chalicelib.logs import logger
from chalicelib.privacy.routes import bp as privacy
from chalicelib.settings import check_installation, settings
from chalicelib.tables.change_routes import bp as table_changes
from chalicelib.tables.charts.routes import bp as charts
from chalicelib.tables.columns.routes import bp as columns
from chalicelib.tables.columns.step_routes import bp as column_steps
from chalicelib.tables.download_routes import bp as downloads
from chalicelib.tables.history.routes import bp as history
from chalicelib.tables.routes import bp as tables
from chalicelib.tables.row_routes import bp as rows
from chalicelib.tables.uploads.routes import bp as uploads
from chalicelib.tables.views.routes import bp as views
from chalicelib.web import health, static
from chalicelib.workflows.attribute_routes import bp as attributes
from chalicelib.workflows.learner_routes import bp as learners
from chalicelib.workflows.lifecycle_routes import bp as lifecycle
from chalicelib.workflows.people_routes import bp as people
from chalicelib.workflows.routes import bp as workflows

if TYPE_CHECKING:
    from chalicelib import functions

#: How many of each function a queue keeps busy; as many are reserved for it in `.chalice/config.json`, because messages
#: for a function that is throttled are counted as failed.
AT_ONCE = 5

check_installation()
app = Chalice(app_name="ontask", configure_logs=False)
logger()  # has the same name: what Chalice logs is written in the same form
app.api.binary_types = static.BINARY_TYPES

BLUEPRINTS = (
    accounts,
    action_list,
    actions,
    archives,
    attributes,
    audit,
    charts,
    column_steps,
    columns,
    conditions,
    downloads,
    table_changes,
    exchange,
    history,
    jsons,
    images,
    launches,
    learners,
    letters,
    lifecycle,
    maps,
    notices,
    people,
    previews,
    privacy,
    reports,
    rubrics,
    rows,
    runs,
    schedules,
    sending,
    statistics,
    serving,
    survey_answers,
    surveys,
    tables,
    timelines,
    tracking,
    uploads,
    versions,
    views,
    workflows,
)
for blueprint in BLUEPRINTS:
    app.register_blueprint(blueprint)


@app.route("/healthz")
def healthz() -> Response:
    """Answer 200 when this function runs; with `?deep=1` when the database answers too."""
    return health.check(deep=bool((app.current_request.query_params or {}).get("deep")))


@app.route("/static/{proxy+}")
def static_file() -> Response:
    """Serve a style sheet, script or picture; in the cloud CloudFront does."""
    try:
        body, kind = static.read(app.current_request.uri_params["proxy"])
    except errors.NotFound:
        return Response("There is no such file.", status_code=404, headers={"Content-Type": "text/plain"})
    headers = {
        "Content-Type": kind if kind in static.BINARY_TYPES else f"{kind}; charset=utf-8",
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(body if kind in static.BINARY_TYPES else body.decode(), headers=headers)


#: What programs send, and how; Chalice refuses everything else before we could say so in JSON.
API_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
API_CONTENT_TYPES = [
    "application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "text/csv",
]  # fmt: skip


@app.route("/api/v1/{proxy+}", methods=API_METHODS, content_types=API_CONTENT_TYPES)
def api_v1() -> Response:
    """Answer a program that was written for OnTask 11."""
    from chalicelib import programs

    return programs.respond(app.current_request)


@app.route("/api/v2/{proxy+}", methods=API_METHODS, content_types=API_CONTENT_TYPES)
def api_v2() -> Response:
    """Answer a program."""
    from chalicelib import programs

    return programs.respond(app.current_request)


@app.on_sqs_message(queue=settings().jobs_queue, batch_size=1, maximum_concurrency=AT_ONCE)
def work_job(event: SQSEvent) -> functions.Failures:
    """Do imports, exports, planning."""
    from chalicelib import functions

    return functions.work_job(event.to_dict(), event.context)


@app.on_sqs_message(queue=settings().outbox_queue, batch_size=1, maximum_concurrency=AT_ONCE)
def send_batch(event: SQSEvent) -> functions.Failures:
    """Send the next mails of a lane."""
    from chalicelib import functions

    return functions.send_batch(event.to_dict(), event.context)


@app.on_sqs_message(
    queue=settings().events_queue, batch_size=1000, maximum_batching_window_in_seconds=1, maximum_concurrency=AT_ONCE
)
def record_events(event: SQSEvent) -> functions.Failures:
    """Write down what became of mails."""
    from chalicelib import functions

    return functions.record_events(event.to_dict(), event.context)


@app.lambda_function()
def run_due(_event: dict[str, Any], context: Any) -> None:
    """Wake what is due; invoked by alarms."""
    from chalicelib import functions

    functions.run_due(context)


@app.schedule(Cron(17, 3, "*", "*", "?", "*"))
def tidy(event: CloudWatchEvent) -> None:
    """Do the daily round, once a night."""
    from chalicelib import functions

    functions.tidy(event.context)


@app.lambda_function()
def migrate(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Bring the schema up to date, and do what else the operator's command asks."""
    from chalicelib import operations

    return operations.do(event)
