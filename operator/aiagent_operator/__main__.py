"""`python -m aiagent_operator` runs the operator."""

from aiagent_operator.runtime.app import main

if __name__ == "__main__":
    main()
