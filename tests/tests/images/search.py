"""Looks into each layer of images for what must not be in one. Its arguments are archives as `docker save` writes them; it prints a line
of JSON for each: what it found, how many files it saw, and the image's configuration. `--bad FILE` writes an image with all of that."""

import io
import json
import re
import sys
import tarfile

# A whole key, not a word of a program that reads keys.
KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+(?:[A-Za-z0-9+/=]{20,}\s+){2,}")
TOKENS = re.compile(rb"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{40,})\b")
NAMES = re.compile(
    r"(?:^|/)(?:\.netrc|\.pypirc|\.git-credentials|id_(?:rsa|ed25519|ecdsa)|jwks\.json|\.bash_history|pip\.conf|settings\.xml"
    r"|run/secrets/.+|(?:x86_64|aarch64)-linux-gnu-(?:gcc|g\+\+|cpp)(?:-\d+)?|javac|swig|mvn)$"
)
SECRET = re.compile(r"(?:PASSWORD|SECRET|TOKEN|_KEY)[^=]*=.")
# It tests itself with a key of its own.
GNUTLS = re.compile(r"^usr/lib/[^/]+/libgnutls\.so\.[0-9.]+$")


def judge(name, content):
    if NAMES.search(name):
        return "its name"
    if KEY.search(content) and not GNUTLS.search(name):
        return "a private key"
    # Amazon's own examples end so.
    if any(not token.endswith(b"EXAMPLE") for token in TOKENS.findall(content)):
        return "a token"
    return None


def look(archive):
    found, files = [], 0
    with tarfile.open(archive) as outer:
        manifest = json.load(outer.extractfile("manifest.json"))[0]
        about = json.load(outer.extractfile(manifest["Config"]))
        for layer in manifest["Layers"]:
            # A layer that is another's may be a link to it.
            with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                for member in inner:
                    name = member.name.removeprefix("./")
                    if member.isfile():
                        files += 1
                        why = judge(name, inner.extractfile(member).read())
                    else:
                        why = "its name" if NAMES.search(name) and not member.isdir() else None
                    if why:
                        found.append(f"{name}: {why}")
    config = about["config"]
    found += [f"environment: {word.partition('=')[0]}" for word in config.get("Env", []) if SECRET.search(word)]
    found += [f"history: {step['created_by']}" for step in about.get("history", []) if SECRET.search(step.get("created_by", ""))]
    return {"found": found, "files": files, "config": config}


def bad(archive):
    def tar(files):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as out:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
        return buffer.getvalue()

    lines = b"".join(b"A" * 64 + b"\n" for _ in range(4))
    key = b"# mine\n-----BEGIN " + b"PRIVATE KEY-----\n" + lines
    layer = tar({"./root/.netrc": b"", "./etc/key.pem": key, "./usr/bin/x86_64-linux-gnu-gcc-12": b""})
    about = json.dumps({"config": {"Env": ["ROOT_PASSWORD=x"]}}).encode()
    manifest = json.dumps([{"Config": "c.json", "Layers": ["l.tar"]}]).encode()
    with open(archive, "wb") as out:
        out.write(tar({"manifest.json": manifest, "c.json": about, "l.tar": layer}))


if sys.argv[1] == "--bad":
    bad(sys.argv[2])
else:
    for archive in sys.argv[1:]:
        print(json.dumps(look(archive)))
