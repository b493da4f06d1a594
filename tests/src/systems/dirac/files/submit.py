#!/usr/bin/env python3
"""Submits JDLs, one argument after the configuration a file, through the JobManager; prints a job number a line.
usage: X509_USER_PROXY=... submit.py CLIENT.CFG COUNT JDL-FILE"""
import sys
from pathlib import Path

import DIRAC

DIRAC.initialize(require_auth=False, extra_config_files=[Path(sys.argv[1])])
from DIRAC.WorkloadManagementSystem.Client.JobManagerClient import JobManagerClient

for _ in range(int(sys.argv[2])):
    result = JobManagerClient(timeout=60).submitJob(Path(sys.argv[3]).read_text())
    if not result["OK"]:
        raise SystemExit(result["Message"])
    print(result["Value"], flush=True)
