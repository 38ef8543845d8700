"""Prints where the interpreter that runs this looks for packages below a prefix: `python3 tools/pythondir.py /usr`."""

import sys
import sysconfig

prefix = sys.argv[1]
scheme = "deb_system" if "deb_system" in sysconfig.get_scheme_names() else "posix_prefix"
print(sysconfig.get_path("purelib", scheme, {"base": prefix}))
