"""`python -m aiagent_operator` runs the operator, or with arguments one of its commands."""

from aiagent_operator.runtime.command import main

if __name__ == "__main__":
    main()
