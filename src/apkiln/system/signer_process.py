"""The program that holds repository keys: `python -m apkiln.system.signer_process --socket PATH KEY…` (see `signer_socket`)."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from apkiln.core.errors import ApkilnError
from apkiln.system.files import DiskFiles
from apkiln.system.signer import load_signer
from apkiln.system.signer_socket import SignerServer


def main() -> int:
    """Serve until SIGTERM or SIGINT.  Every signature is a line on standard error."""
    parser = argparse.ArgumentParser(description="sign digests for a repository service")
    parser.add_argument("--socket", required=True, help="where to listen; readable by its owner only")
    parser.add_argument("--user", type=int, default=os.getuid(), help="user id of the service (default: ours)")
    parser.add_argument("keys", nargs="+", metavar="KEY", help="private key file, mode 0600")
    arguments = parser.parse_args()
    try:
        signers = [load_signer(Path(path), DiskFiles()) for path in arguments.keys]
        keys = {signer.name: signer for signer in signers}
        server = SignerServer(Path(arguments.socket), keys, arguments.user, lambda text: sys.stderr.write(text + "\n"))
        server.open()
    except ApkilnError as error:
        sys.stderr.write(f"error: {error}\n")
        return 9
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.close())
    sys.stderr.write("ready\n")
    sys.stderr.flush()
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
