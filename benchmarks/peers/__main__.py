"""`python -m benchmarks.peers`: install the message buses that ours is measured against, into `.peers`."""

import shutil
import subprocess
import sys
import venv

from benchmarks.peers import FOLDER, HERE, PYTHON


def main() -> int:
    if not PYTHON.exists():
        venv.create(FOLDER, with_pip=True)
    pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    ended = subprocess.run([*pip, "--only-binary", ":all:", "-r", str(HERE / "requirements.txt")], check=False)
    if ended.returncode:
        return ended.returncode
    print(f"Installed into {FOLDER.name}: {', '.join((HERE / 'requirements.txt').read_text().split())}")
    if not shutil.which("nats-server"):
        print("The NATS server is not there; on Debian and Ubuntu: apt-get install nats-server")
    return 0


sys.exit(main())
