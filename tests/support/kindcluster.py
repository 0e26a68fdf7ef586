"""A kind cluster for the end-to-end tests: `python -m support.kindcluster up|load IMAGE|down|path`.

kind itself comes from PATH, else it is built once from its pinned Go module. The node image is kind's own default
unless KIND_NODE_IMAGE names another.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.localcluster.build import Module, built, say
from support.localcluster.errors import LocalClusterError

ROOT = Path(__file__).parents[2]
NAME = os.environ.get("KIND_CLUSTER", "aiagent-e2e")
KUBECONFIG = ROOT / "build" / "kind" / f"{NAME}.kubeconfig"

KIND = Module("kind", "sigs.k8s.io/kind", {"kind": "sigs.k8s.io/kind"})


def kind() -> Path:
    """The kind command. Raises BuildError where there is none and none can be built."""
    found = shutil.which("kind")
    return Path(found) if found else built(KIND, say) / "kind"


def run(*arguments: str) -> None:
    """Runs kind; what it prints goes on. Raises CalledProcessError."""
    subprocess.run([str(kind()), *arguments], check=True)


def exists() -> bool:
    """Whether the cluster is there."""
    answer = subprocess.run([str(kind()), "get", "clusters"], check=True, capture_output=True, text=True)
    return NAME in answer.stdout.split()


def need_docker() -> None:
    """Raises LocalClusterError, saying what is missing, where no container engine answers."""
    if not shutil.which("docker"):
        raise LocalClusterError("kind needs Docker: install it, or use `make test`, which needs no containers")
    answer = subprocess.run(["docker", "version"], check=False, capture_output=True, text=True)
    if answer.returncode:
        raise LocalClusterError(
            f"Docker does not answer: start it, or set DOCKER_HOST. It says: {answer.stderr.strip()}"
        )


def up() -> None:
    """Creates the cluster where it is not there, and writes its kubeconfig."""
    need_docker()
    KUBECONFIG.parent.mkdir(parents=True, exist_ok=True)
    if exists():
        say(f"kind cluster {NAME} is there already")
        run("export", "kubeconfig", "--name", NAME, "--kubeconfig", str(KUBECONFIG))
    else:
        image = os.environ.get("KIND_NODE_IMAGE")
        chosen = ["--image", image] if image else []
        say(f"creating kind cluster {NAME} (waiting for its node, up to 4 minutes)")
        run("create", "cluster", "--name", NAME, "--kubeconfig", str(KUBECONFIG), "--wait", "4m", *chosen)
    say(f"KUBECONFIG={KUBECONFIG}")


def down() -> None:
    """Deletes the cluster, where there is one."""
    need_docker()
    run("delete", "cluster", "--name", NAME)
    KUBECONFIG.unlink(missing_ok=True)


def put(program: Path, target: str) -> None:
    """Puts a program onto the cluster's node, for pods that mount it: no registry has to have an image with it."""
    command = ["docker", "cp", "--follow-link", str(program), f"{NAME}-control-plane:{target}"]
    subprocess.run(command, check=True, capture_output=True)
    on_node("chmod", "0755", target)


def on_node(*command: str) -> str:
    """Runs a command on the cluster's node, and returns what it prints. Raises CalledProcessError."""
    whole = ["docker", "exec", f"{NAME}-control-plane", *command]
    return subprocess.run(whole, check=True, capture_output=True, text=True).stdout


def main(arguments: list[str]) -> None:
    """Entry point; exit status 1 with the reason where something is missing."""
    try:
        match arguments:
            case ["up"]:
                up()
            case ["load", image]:
                run("load", "docker-image", image, "--name", NAME)
            case ["down"]:
                down()
            case ["path"]:
                print(kind())
            case _:
                sys.exit(__doc__)
    except (LocalClusterError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
