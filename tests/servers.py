"""Real storage servers for the tests: S3 by rclone, SSH by asyncssh; on this machine only, on free ports."""

import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# new ones each time, so that a test can look for them in what was written
KEYS = {"AWS_ACCESS_KEY_ID": secrets.token_hex(12), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
PASSWORD = secrets.token_hex(8)
START_S = 30

SSH_SERVER = f"""
import asyncio, sys, asyncssh

class Server(asyncssh.SSHServer):
    def password_auth_supported(self): return True
    def validate_password(self, user, password): return password == {PASSWORD!r}

async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    sftp = lambda channel: asyncssh.SFTPServer(channel, chroot=sys.argv[1])
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key], sftp_factory=sftp)
    print(f"127.0.0.1:{{server.get_port()}}", flush=True)
    await server.wait_closed()

asyncio.run(main())
"""


class Server(NamedTuple):
    """A running server: where it listens, and its process."""

    host: str
    port: int
    process: subprocess.Popen

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"


@contextmanager
def serving(command: list[str], log: Path) -> Iterator[Server]:
    """Run a server until the block ends; it says its address in its output."""
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            deadline = time.monotonic() + START_S
            while not (found := re.search(r"(127\.0\.0\.1):(\d+)/?\]?\n", log.read_text())):
                assert process.poll() is None, f"the server ended:\n{log.read_text()}"
                assert time.monotonic() < deadline, f"the server does not start:\n{log.read_text()}"
                time.sleep(0.02)
            yield Server(found[1], int(found[2]), process)
        finally:
            process.kill()


def serve_s3(folder: Path, port: int = 0):
    """An S3 server whose buckets are the folders in `folder`; its keys are `KEYS`."""
    rclone = str(Path(sys.executable).parent / "rclone")
    keys = ",".join(KEYS.values())
    command = [rclone, "serve", "s3", "--config", "", "--auth-key", keys, "--addr", f"127.0.0.1:{port}", str(folder)]
    return serving(command, folder.with_name(f"{folder.name}.log"))


def serve_ssh(folder: Path):
    """An SSH server with SFTP that shows `folder` as its root; anybody may log in with `PASSWORD`."""
    return serving([sys.executable, "-c", SSH_SERVER, str(folder)], folder.with_name(f"{folder.name}.log"))


def s3_client(server: Server):
    """A client with the right keys, to look into the buckets and to damage what is in them."""
    import botocore.session

    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
