"""`python -m aiagent_operator.capture` packs a volume and sends it to the operator."""

from aiagent_operator.capture.job import main

if __name__ == "__main__":
    main()
