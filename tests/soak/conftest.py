"""What the integration tests have is here, too: the fixtures and names of their conftest, and the modules beside it."""

import os
import runpy
import sys

INTEGRATION = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration")
sys.path.insert(0, INTEGRATION)
globals().update({name: value for name, value in runpy.run_path(os.path.join(INTEGRATION, "conftest.py"), run_name=__name__).items()
                  if not name.startswith("__")})
