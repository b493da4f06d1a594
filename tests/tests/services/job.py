"""Submits one job, as a user does: a proxy with a token for DiracX first, where there is none yet. usage: job.py JobManager|DiracX"""
import os
import subprocess
import sys

if not os.path.exists(os.environ["X509_USER_PROXY"]):
    words = ["--group=biomed_user", "--Cert=" + os.environ["X509_USER_CERT"], "--Key=" + os.environ["X509_USER_KEY"]]
    out = os.environ["X509_USER_PROXY"]
    # Whether the key has a password is asked otherwise.
    words += ["--strict", "--pwstdin", "--out=" + out]
    done = subprocess.run(["dirac-proxy-init", *words], capture_output=True, text=True, input="")
    # Where no token was to be had, it says so, ends with 0, and leaves a proxy with which nothing can be submitted.
    if done.returncode or "Error" in done.stdout + done.stderr:
        if os.path.exists(out):
            os.unlink(out)
        raise SystemExit((done.stdout + done.stderr)[-1500:])

JDL = 'JobName = "hello"; Executable = "/bin/echo"; Arguments = "hello"; CPUTime = 3600;'

import DIRAC

DIRAC.initialize()
if sys.argv[1] == "JobManager":
    from DIRAC.WorkloadManagementSystem.Client.WMSClient import WMSClient

    answer = WMSClient().submitJob(f"[{JDL}]")
    if not answer["OK"]:
        raise SystemExit(answer["Message"])
    print("job", answer["Value"], "by JobManager")
else:
    from DIRAC.Core.Security.DiracX import DiracXClient

    with DiracXClient() as api:
        print("job", api.jobs.submit_jdl_jobs([f"[{JDL}]"])[0].job_id, "by DiracX")
