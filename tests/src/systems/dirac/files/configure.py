#!/usr/bin/env python3
"""Changes DIRAC's configuration as dirac-configuration-cli does, and commits it as the server host.
usage: configure.py merge FILE SERVER | configure.py remove PATH SERVER"""
import sys

import DIRAC

DIRAC.initialize(require_auth=False)
from DIRAC.ConfigurationSystem.Client.ConfigurationClient import ConfigurationClient
from DIRAC.ConfigurationSystem.private.Modificator import Modificator

change = Modificator(ConfigurationClient(url=sys.argv[3]))


def done(result):
    if not result["OK"]:
        raise SystemExit(result["Message"])


done(change.loadFromRemote())
if sys.argv[1] == "merge":
    change.mergeFromFile(sys.argv[2])
elif not (change.removeSection(sys.argv[2]) if change.existsSection(sys.argv[2]) else change.removeOption(sys.argv[2])):
    raise SystemExit(f"there is no {sys.argv[2]}")
done(change.commit())
