"""`python -m aiagent_operator.cli` is the command `kubectl-aiagent`."""

from aiagent_operator.cli.app import main

if __name__ == "__main__":
    main()
