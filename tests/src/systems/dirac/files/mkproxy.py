#!/usr/bin/env python3
"""A proxy as dirac-proxy-init makes one, without a prompt. usage: mkproxy.py CERTIFICATE KEY GROUP OUT [SECONDS]"""
import os
import sys

from DIRAC.Core.Security.X509Chain import X509Chain

certificate, key, group, out = sys.argv[1:5]
chain = X509Chain()
for result in (chain.loadChainFromFile(certificate), chain.loadKeyFromFile(key)):
    if not result["OK"]:
        raise SystemExit(result["Message"])
lifetime = int(sys.argv[5]) if len(sys.argv) > 5 else 86400
result = chain.generateProxyToFile(out, lifetime, diracGroup=group, strength=2048)
if not result["OK"]:
    raise SystemExit(result["Message"])
os.chmod(out, 0o600)
