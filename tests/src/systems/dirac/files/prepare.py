#!/usr/bin/env python3
"""Once, before the services start: the tables that DIRAC's classes make themselves (two services that make them at once fail
with MySQL's error 1050), and the sites as Active in the mask (requestJob gives nothing to a site outside it).
usage: prepare.py all|matching SITE..."""
import sys
from datetime import datetime, timedelta

import DIRAC

DIRAC.initialize(require_auth=False)
from DIRAC.WorkloadManagementSystem.DB.TaskQueueDB import TaskQueueDB

TaskQueueDB()
if sys.argv[1] == "all":
    from DIRAC.FrameworkSystem.DB.ProxyDB import ProxyDB
    from DIRAC.ResourceStatusSystem.DB.ResourceStatusDB import ResourceStatusDB
    from DIRAC.WorkloadManagementSystem.DB.SandboxMetadataDB import SandboxMetadataDB

    ProxyDB()
    SandboxMetadataDB()
    now = datetime.utcnow()
    for site in sys.argv[2:]:
        result = ResourceStatusDB().insert("SiteStatus", {
            "Name": site, "StatusType": "all", "Status": "Active", "ElementType": "Site", "Reason": "test", "DateEffective": now,
            "LastCheckTime": now, "TokenOwner": "test", "TokenExpiration": now + timedelta(days=365), "VO": "all"})
        if not result["OK"]:
            raise SystemExit(result["Message"])
