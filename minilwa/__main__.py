"""``python -m minilwa``."""

import sys

from minilwa.cli import main

sys.exit(main())
