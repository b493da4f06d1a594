#!/usr/bin/env python3
"""Puts jobs into task queues with the class that DIRAC's optimizers use. Reads a JSON list of [job, definition] from standard
input, and prints what DIRAC refused as a JSON list of [job, message]."""
import json
import sys

import DIRAC

DIRAC.initialize(require_auth=False)
from DIRAC.WorkloadManagementSystem.DB.TaskQueueDB import TaskQueueDB

database = TaskQueueDB()
refused = []
for job, definition in json.load(sys.stdin):
    result = database.insertJob(job, definition, 10)
    if not result["OK"]:
        refused.append([job, result["Message"]])
print(json.dumps(refused))
