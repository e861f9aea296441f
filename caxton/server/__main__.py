"""`python -m caxton.server`: the server in the foreground."""

import sys

from caxton.server.run import main

if __name__ == "__main__":
    sys.exit(main())
