"""The routes, each a few lines: read the request, ask the engine, answer with plain JSON.

Errors of our own tree become their status and `{"error": …}`; anything else is a bug, whose
traceback goes to the log while the caller is told so.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stepwell.api import wire
from stepwell.api.engine import Engine
from stepwell.errors import StepwellError, UsageError

log = logging.getLogger("stepwell.http")
WAIT_LIMIT_S = 60.0
LOG_LOOK_S = 0.04  # how often a waiting reader looks at a growing log
Answer = Callable[[Request], Awaitable[Response]]


class _Json(JSONResponse):
    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def application(engine: Engine) -> Starlette:
    """Return the ASGI application that speaks for `engine`."""
    routes = _Routes(engine)
    table: list[tuple[str, str, Answer]] = [
        ("GET", "/v1/hello", routes.hello),
        ("POST", "/v1/stop", routes.stop),
        ("GET", "/v1/status", routes.status),
        ("GET", "/v1/doctor", routes.doctor),
        ("GET", "/v1/workspaces", routes.workspaces),
        ("POST", "/v1/workspaces", routes.register_workspace),
        ("GET", "/v1/workspaces/{workspace}", routes.workspace),
        ("GET", "/v1/workspaces/{workspace}/experiments", routes.experiments),
        ("POST", "/v1/workspaces/{workspace}/experiments", routes.create_experiment),
        ("GET", "/v1/workspaces/{workspace}/computes", routes.computes),
        ("POST", "/v1/workspaces/{workspace}/computes", routes.register_compute),
        ("DELETE", "/v1/workspaces/{workspace}/computes/{name:path}", routes.remove_compute),
        ("GET", "/v1/runs", routes.runs),
        ("POST", "/v1/runs", routes.submit),
        ("POST", "/v1/plan", routes.plan),
        ("GET", "/v1/runs/{run}", routes.run),
        ("GET", "/v1/runs/{run}/spec", routes.spec),
        ("GET", "/v1/runs/{run}/metrics", routes.run_metrics),
        ("POST", "/v1/runs/{run}/cancel", routes.cancel),
        ("POST", "/v1/runs/{run}/tags", routes.tag),
        ("GET", "/v1/step_runs/{step_run}", routes.step),
        ("GET", "/v1/step_runs/{step_run}/why", routes.why),
        ("GET", "/v1/step_runs/{step_run}/log", routes.log),
        ("GET", "/v1/step_runs/{step_run}/metrics", routes.step_metrics),
        ("GET", "/v1/events", routes.events),
        ("GET", "/v1/diff", routes.diff),
    ]
    return Starlette(routes=[Route(path, _guarded(answer, engine), methods=[verb]) for verb, path, answer in table])


def _guarded(answer: Answer, engine: Engine) -> Answer:
    async def respond(request: Request) -> Response:
        engine.touched()
        try:
            response = await answer(request)
        except StepwellError as error:
            response = _Json({"error": error.to_wire()}, status_code=error.http_status)
        except Exception:
            log.exception("%s %s", request.method, request.url.path)
            bug = StepwellError("the daemon failed on this request", hint="stepwell daemon logs", code="bug")
            response = _Json({"error": bug.to_wire()}, status_code=500)
        response.headers[wire.VERSION_HEADER] = engine.version
        response.headers[wire.WIRE_HEADER] = str(wire.WIRE)
        return response

    return respond


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise UsageError(f"the request is not JSON: {error}", code="not_json") from error
    if not isinstance(body, dict):
        raise UsageError("the request must be a JSON object", code="not_json")
    return body


def _number(request: Request, name: str, default: float, upper: float) -> float:
    text = request.query_params.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError as error:
        raise UsageError(f"{name} must be a number, not {text!r}", code="bad_query") from error
    return min(max(value, 0.0), upper)


class _Routes:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def _call(self, function: Callable[..., Any], *arguments: Any, status: int = 200) -> Response:
        return _Json(await run_in_threadpool(function, *arguments), status_code=status)

    async def hello(self, request: Request) -> Response:
        return _Json(self.engine.hello())

    async def stop(self, request: Request) -> Response:
        body = await _body(request)
        return await self._call(self.engine.stop, bool(body.get("wait_runs")))

    async def status(self, request: Request) -> Response:
        return await self._call(self.engine.status)

    async def doctor(self, request: Request) -> Response:
        return await self._call(self.engine.doctor)

    async def workspaces(self, request: Request) -> Response:
        return await self._call(self.engine.catalog.workspaces)

    async def register_workspace(self, request: Request) -> Response:
        return await self._call(self.engine.catalog.register_workspace, await _body(request))

    async def workspace(self, request: Request) -> Response:
        return await self._call(self.engine.catalog.workspace, request.path_params["workspace"])

    async def experiments(self, request: Request) -> Response:
        return await self._call(self.engine.catalog.experiments, request.path_params["workspace"])

    async def create_experiment(self, request: Request) -> Response:
        body = await _body(request)
        return await self._call(self.engine.catalog.create_experiment, request.path_params["workspace"], body)

    async def computes(self, request: Request) -> Response:
        return await self._call(self.engine.catalog.computes, request.path_params["workspace"])

    async def register_compute(self, request: Request) -> Response:
        body = await _body(request)
        return await self._call(self.engine.catalog.register_compute, request.path_params["workspace"], body)

    async def remove_compute(self, request: Request) -> Response:
        path = request.path_params
        return await self._call(self.engine.catalog.remove_compute, path["workspace"], path["name"])

    async def runs(self, request: Request) -> Response:
        query = request.query_params
        limit = int(_number(request, "limit", 50, 100_000))
        return await self._call(self.engine.views.runs, query.get("workspace"), query.get("experiment"), limit)

    async def submit(self, request: Request) -> Response:
        return await self._call(self.engine.submissions.submit, await _body(request), status=201)

    async def plan(self, request: Request) -> Response:
        return await self._call(self.engine.submissions.plan, await _body(request))

    async def run(self, request: Request) -> Response:
        query = request.query_params
        show = partial(self.engine.views.run, brief=query.get("view") == "brief")
        return await self._call(show, request.path_params["run"], query.get("workspace"))

    async def spec(self, request: Request) -> Response:
        return await self._call(self.engine.views.spec, request.path_params["run"])

    async def run_metrics(self, request: Request) -> Response:
        return await self._call(self.engine.run_metrics, request.path_params["run"])

    async def cancel(self, request: Request) -> Response:
        body = await _body(request)
        reason = str(body.get("reason") or "canceled")
        return await self._call(self.engine.cancel, request.path_params["run"], reason)

    async def tag(self, request: Request) -> Response:
        return await self._call(self.engine.tag, request.path_params["run"], await _body(request))

    async def step(self, request: Request) -> Response:
        return await self._call(self.engine.views.step, request.path_params["step_run"])

    async def why(self, request: Request) -> Response:
        return await self._call(self.engine.views.why, request.path_params["step_run"])

    async def step_metrics(self, request: Request) -> Response:
        return await self._call(self.engine.step_metrics, request.path_params["step_run"])

    async def diff(self, request: Request) -> Response:
        query = request.query_params
        left, right = query.get("left"), query.get("right")
        if not left or not right:
            raise UsageError("a diff needs two runs: left and right", code="bad_query")
        return await self._call(self.engine.comparison.diff, left, right)

    async def log(self, request: Request) -> Response:
        """Bytes of a log; with `wait_s`, not before there are some or none will come."""
        offset = int(_number(request, "offset", 0, 2**62))
        limit = int(_number(request, "limit", 1 << 20, 1 << 24))
        wait_s = _number(request, "wait_s", 0, WAIT_LIMIT_S)
        query = request.query_params
        step_run, attempt = request.path_params["step_run"], query.get("attempt")
        stream = query.get("stream") or "all"
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            chunk = await run_in_threadpool(self.engine.logs.read, step_run, attempt, offset, limit, stream)
            if chunk.data or chunk.done or asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(LOG_LOOK_S)
        headers = {wire.LOG_SIZE_HEADER: str(chunk.size), wire.LOG_OFFSET_HEADER: str(chunk.next_offset)}
        if chunk.done:
            headers[wire.LOG_DONE_HEADER] = "1"
        return Response(chunk.data, media_type="application/octet-stream", headers=headers)

    async def events(self, request: Request) -> Response:
        """Events after a seq; with `wait_s`, not before there is one."""
        after = int(_number(request, "after", 0, 2**62))
        limit = int(_number(request, "limit", 1000, 10_000))
        wait_s = _number(request, "wait_s", 0, WAIT_LIMIT_S)
        run, kind = request.query_params.get("run"), request.query_params.get("kind")
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            committed = self.engine.commits.next()
            found = await run_in_threadpool(self.engine.views.events, after, limit, run, kind)
            left = deadline - asyncio.get_running_loop().time()
            if found["events"] or left <= 0:
                return _Json(found)
            try:
                await asyncio.wait_for(committed, left)
            except TimeoutError:
                pass  # the time the caller gave us is over: an empty list is the answer
