"""The command `stepwell`: finds the verb's file, and turns every ending into an exit code.

    0 done   1 a bug of ours   2 usage   3 conflict   4 machine   5 a step failed   130 interrupted

A verb's file is imported when the verb is used; `--help` shows the table below and imports none.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from stepwell.api import wire
from stepwell.errors import StepwellError, unknown

INTERRUPTED = 130
COMPLETION_VARIABLE = "_STEPWELL_COMPLETE"
PIPE_CLOSED = 141  # what a shell says of a program that died by SIGPIPE

VERBS: dict[str, tuple[str, str]] = {  # verb -> (file, what it does)
    "demo": ("demo", "Copy the handwritten-digits sample and run it."),
    "init": ("init", "Make a workspace of a folder."),
    "status": ("status", "Show the daemon, what runs, and what it waits for."),
    "run": ("run", "Run a pipeline and follow it."),
    "plan": ("plan", "Say what would run, and why; run nothing."),
    "graph": ("graph", "Draw a pipeline or a run as text."),
    "runs": ("runs", "List runs, the newest first."),
    "show": ("runs", "Show one run: its steps, outputs and metrics."),
    "logs": ("logs", "Print what steps wrote."),
    "why": ("why", "Say why a step ran, or why it was reused."),
    "cancel": ("cancel", "End a run."),
    "diff": ("diff", "Compare two runs."),
    "doctor": ("doctor", "Say what works here, what does not, and what to do."),
    "daemon": ("daemon", "Start, stop or look at the daemon."),
    "completion": ("completion", "Print the completion script of a shell."),
}


class Stepwell(click.Group):
    """A group whose verbs are looked up in `VERBS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(import_module(f"stepwell.cli.{VERBS[cmd_name][0]}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise unknown("command", args[0], list(VERBS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, what) for verb, (_, what) in VERBS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(verb, help=what) for verb, (_, what) in VERBS.items() if verb.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and exit with its code."""
        make_streams_safe()
        words = sys.argv[1:] if args is None else list(args)
        name = prog_name or "stepwell"
        asked = os.environ.get(COMPLETION_VARIABLE)
        if asked:
            from click.shell_completion import shell_complete

            sys.exit(shell_complete(self, {}, name, COMPLETION_VARIABLE, asked))
        try:
            with self.make_context(name, words, **extra) as context:
                code = self.invoke(context)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the top: every ending becomes a code
            code = _exit_code(error)
        sys.exit(code if isinstance(code, int) else 0)


def make_streams_safe() -> None:
    """Let nothing die of stdout or stderr: what they cannot encode is escaped, a closed one is /dev/null."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # started with `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  for the program's life
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _exit_code(error: Exception | KeyboardInterrupt) -> int:
    """Tell the user what happened, and return the code that says it to programs."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        _tell(error.format_message())
        return 2
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "stepwell"
        message = error.format_message().rstrip(".")
        _tell(f"{message[:1].lower()}{message[1:]}\n  try: {where} --help")
        return 2
    if isinstance(error, click.ClickException):
        _tell(error.format_message())
        return 2
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, EOFError, click.Abort)):
        _tell("interrupted")
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The reader has gone; what is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    if isinstance(error, StepwellError):
        _tell(str(error))
        return error.exit_code
    return _bug(error)


def _bug(error: Exception) -> int:
    import time
    import traceback

    from stepwell.paths import Home

    text = "".join(traceback.format_exception(error))
    last = traceback.format_exception_only(error)[-1].strip()
    log = Home.from_environment().root / "cli.log"
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {sys.argv[1:]!r}\n{text}\n")
    except OSError:  # then here is the only place for it
        _tell(text)
    _tell(f"this is a bug in stepwell: {last}\n  try: report it with the end of {str(log)!r}")
    return 1


def _tell(text: str) -> None:
    """Print a message, whose quoted words may be anything, without what would act on a terminal."""
    from stepwell.cli.terminal import visible

    print("\n".join(visible(line) for line in text.split("\n")), file=sys.stderr, flush=True)


@click.group(
    cls=Stepwell,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(wire.VERSION, message="stepwell %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Machine-learning pipelines on your own machine: steps, data flow, reuse that explains itself."""
    if context.invoked_subcommand is None:
        from stepwell.cli.status import overview

        overview()


def main() -> None:
    """The entry point of the `stepwell` command."""
    gc.set_threshold(100_000)  # a command is over before there is anything to collect
    cli()
