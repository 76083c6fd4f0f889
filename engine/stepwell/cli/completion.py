"""`stepwell completion`: the script that teaches a shell our verbs, runs and steps."""

from __future__ import annotations

import click

HOW = {
    "bash": 'eval "$(stepwell completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(stepwell completion zsh)"    in ~/.zshrc',
    "fish": "stepwell completion fish > ~/.config/fish/completions/stepwell.fish",
}


@click.command(epilog="\b\n" + "\n".join(HOW.values()))
@click.argument("shell", type=click.Choice(list(HOW)))
def completion(shell: str) -> None:
    """Print the completion script of SHELL."""
    from click.shell_completion import get_completion_class

    from stepwell.cli.main import COMPLETION_VARIABLE, cli

    kind = get_completion_class(shell)
    assert kind is not None  # each name of HOW is one of click's
    script = kind(cli, {}, "stepwell", COMPLETION_VARIABLE)
    # Not `source()`: it runs the shell to ask for its version, and fails where there is none.
    click.echo(script.source_template % script.source_vars())
