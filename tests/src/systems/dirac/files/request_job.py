#!/usr/bin/env python3
"""Asks the Matcher for a job as a pilot does; prints its number, or nothing when there is none for this pilot.
usage: X509_USER_PROXY=... request_job.py CLIENT.CFG RESOURCE, which is JSON"""
import json
import sys
from pathlib import Path

import DIRAC

DIRAC.initialize(require_auth=False, extra_config_files=[Path(sys.argv[1])])
from DIRAC.WorkloadManagementSystem.Client.MatcherClient import MatcherClient

result = MatcherClient(timeout=60).requestJob(json.loads(sys.argv[2]))
if result["OK"]:
    print(result["Value"]["JobID"])
elif "No match found" not in result["Message"]:
    raise SystemExit(result["Message"])
