#!/usr/bin/env python3
"""Delegates a user's certificate to the ProxyManager, as dirac-proxy-init does: pilots fetch the payload's proxy there.
usage: X509_USER_PROXY=... upload_proxy.py CLIENT.CFG CERTIFICATE KEY"""
import sys
from pathlib import Path

import DIRAC

DIRAC.initialize(require_auth=False, extra_config_files=[Path(sys.argv[1])])
from DIRAC.Core.Security.X509Chain import X509Chain
from DIRAC.FrameworkSystem.Client.ProxyManagerClient import gProxyManager

chain = X509Chain()
for result in (chain.loadChainFromFile(sys.argv[2]), chain.loadKeyFromFile(sys.argv[3]), gProxyManager.uploadProxy(chain)):
    if not result["OK"]:
        raise SystemExit(result["Message"])
