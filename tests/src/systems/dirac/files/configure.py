#!/usr/bin/env python3
"""Changes DIRAC's configuration as dirac-configuration-cli does, and commits it as the server host.
usage: configure.py merge FILE SERVER | configure.py remove PATH SERVER
| configure.py edit EDITS SERVER, a JSON list of PATH=VALUE to set, with a comment, and of PATH to take out; all in one commit
or says the text that is served: configure.py show - SERVER, or each of a JSON list of texts as DIRAC writes it once it has read it (null: it
cannot be read): configure.py rewrite FILE SERVER"""
import json
import sys

import DIRAC

DIRAC.initialize(require_auth=False)
from diraccfg import CFG
from DIRAC.ConfigurationSystem.Client.ConfigurationClient import ConfigurationClient
from DIRAC.ConfigurationSystem.private.Modificator import Modificator

what, argument, server = sys.argv[1:4]
change = Modificator(ConfigurationClient(url=server), "people@dirac_admin - today")


def done(result):
    if not result["OK"]:
        raise SystemExit(result["Message"])


def rewritten(text):
    try:
        return str(CFG().loadFromBuffer(text))
    except Exception:
        return None


if what == "rewrite":
    print(json.dumps([rewritten(text) for text in json.load(open(argument))]))
    sys.exit()
done(change.loadFromRemote())
if what == "show":
    print(json.dumps(str(change)))
    sys.exit()
if what == "merge":
    change.mergeFromFile(argument)
else:
    for edit in json.loads(argument) if what == "edit" else [argument]:
        path, is_set, value = edit.partition("=")
        if is_set:
            change.setOptionValue(path, value)
            change.setComment(path, "people's words")
        elif not (change.removeSection(path) if change.existsSection(path) else change.removeOption(path)):
            raise SystemExit(f"there is no {path}")
done(change.commit())
