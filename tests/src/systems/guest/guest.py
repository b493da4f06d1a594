"""guest.py STATE FOLDER: the first process of a guest, in mount, pid, ipc and uts namespaces of its own.

Its user-data are those of its config drive when it has one, else those of the metadata service when the testbed has one. Both testbeds
with guests have this file, OpenStack's and EC2's.

It sees the host's files through an overlay that forgets what is written, its own /tmp and /run, the host's network, and nothing of
the testbed's state but the folders that `image.json` lends it ("what is in the image"). Then it does what cloud-init does with a
cloud-config: `hostname`, `write_files` (content, encoding, owner, permissions, append), `bootcmd`, `runcmd`, `power_state`; anything
else is named on the console and left alone. This is a stand-in for cloud-init, which wants systemd and a whole machine.
"""
import base64
import gzip
import json
import os
import pwd
import grp
import shlex
import signal
import socket
import subprocess
import sys

import yaml

KNOWN = {'hostname', 'write_files', 'bootcmd', 'runcmd', 'power_state'}


def command(python, state, folder):
    """What starts a guest. The kernel ends `unshare` with who starts it, and `unshare` has it end the guest's first process: no guest
    outlives its hypervisor."""
    return ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child=KILL',
            python, os.path.abspath(__file__), state, folder]


def mount(*arguments):
    subprocess.run(['mount', *arguments], check=True)


def prepare_root():
    """The file system of the guest; returns where it is."""
    base = os.path.join(FOLDER, 'root')
    os.makedirs(base, exist_ok=True)
    mount('--make-rprivate', '/')
    mount('-t', 'tmpfs', 'guest', base)
    root, upper, work = (os.path.join(base, name) for name in ('fs', 'upper', 'work'))
    for folder in (root, upper, work):
        os.mkdir(folder)
    mount('-t', 'overlay', 'guest', '-o', 'lowerdir=/,upperdir=%s,workdir=%s' % (upper, work), root)
    mount('-t', 'proc', 'proc', root + '/proc')
    mount('--rbind', '/dev', root + '/dev')
    mount('--rbind', '/sys', root + '/sys')
    lent = json.load(open(os.path.join(STATE, 'image.json')))
    for private in ('/tmp', '/run', '/var/tmp', STATE):
        os.makedirs(root + private, exist_ok=True)
        mount('-t', 'tmpfs', 'guest', root + private)
    os.chmod(root + '/tmp', 0o1777)
    os.chmod(root + '/var/tmp', 0o1777)
    for host, inside in lent:
        os.makedirs(root + inside, exist_ok=True)
        mount('--bind', host, root + inside)
        mount('-o', 'remount,bind,ro', root + inside)
    return root


def write(path, content, mode):
    os.makedirs(os.path.dirname(path) or '/', exist_ok=True)
    if os.path.islink(path):
        os.unlink(path)
    with open(path, 'wb') as out:
        out.write(content)
    os.chmod(path, mode)


def write_file(wanted):
    content = wanted.get('content', '')
    content = content.encode() if isinstance(content, str) else content
    encoding = str(wanted.get('encoding', 'text/plain')).lower()
    if 'b64' in encoding or 'base64' in encoding:
        content = base64.b64decode(content)
    if encoding.startswith('gz') or '+gz' in encoding:
        content = gzip.decompress(content)
    path = wanted['path']
    if wanted.get('append') and os.path.exists(path):
        content = open(path, 'rb').read() + content
    permissions = wanted.get('permissions', '0644')
    write(path, content, permissions if isinstance(permissions, int) else int(str(permissions), 8))
    user, _, group = str(wanted.get('owner', 'root:root')).partition(':')
    os.chown(path, pwd.getpwnam(user).pw_uid, grp.getgrnam(group or user).gr_gid)


def commands(name, wanted):
    """As cloud-init does: one shell script, a list is a command with its arguments, a text is shell."""
    lines = [line if isinstance(line, str) else ' '.join(shlex.quote(str(word)) for word in line) for line in wanted]
    script = '/var/lib/cloud/instance/scripts/' + name
    write(script, ('#!/bin/sh\n' + '\n'.join(lines) + '\n').encode(), 0o700)
    run([script])


def run(command):
    code = subprocess.run(command, cwd='/', stdin=subprocess.DEVNULL).returncode
    if code:
        print('%s ended with %s' % (command[0], code), flush=True)


def power_state(wanted):
    condition = wanted.get('condition', True)
    if isinstance(condition, (str, list)):
        condition = subprocess.run(condition, shell=isinstance(condition, str), stdin=subprocess.DEVNULL).returncode == 0
    if wanted.get('mode') in ('poweroff', 'halt', 'reboot') and condition:
        if wanted.get('message'):
            print(wanted['message'], flush=True)
        power_off()


def power_off(*_):
    print('the guest powers off', flush=True)
    os._exit(0)


def find_user_data():
    """The user-data and where they are from, in cloud-init's order. The kernel need not know ISO 9660 for this."""
    drive, served = (os.path.join(FOLDER, name) for name in ('disk.config', 'served-user-data'))
    if os.path.exists(drive):
        read = ['isoinfo', '-R', '-i', drive, '-x', '/openstack/latest/user_data']
        return subprocess.run(read, check=True, stdout=subprocess.PIPE).stdout, 'its config drive'
    if os.path.exists(served):
        return open(served, 'rb').read(), 'the metadata service'
    return b'', ''


def main():
    instance = json.load(open(os.path.join(FOLDER, 'instance.json')))
    user_data, source = find_user_data()
    if user_data.startswith(b'\x1f\x8b'):
        user_data = gzip.decompress(user_data)
    root = prepare_root()
    os.chroot(root)
    os.chdir('/')
    os.environ.clear()
    os.environ.update(PATH='/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME='/root', LANG='C.UTF-8')
    signal.signal(signal.SIGTERM, power_off)
    for name in ('poweroff', 'halt', 'shutdown', 'reboot'):
        write('/usr/sbin/' + name, b'#!/bin/sh\nexec kill -TERM 1\n', 0o755)
    os.environ.update(instance.get('environment', {}))
    write('/run/cloud-init/instance-data.json', json.dumps(instance).encode(), 0o644)
    print('guest %(name)s (%(id)s) is up' % instance, flush=True)
    if source:
        print('user-data from ' + source, flush=True)
    else:
        print('no user-data: there is no config drive, and no metadata service answers', flush=True)
    if user_data.startswith(b'#!'):
        write('/var/lib/cloud/instance/scripts/part-001', user_data, 0o700)
        run(['/var/lib/cloud/instance/scripts/part-001'])
    else:
        config = yaml.safe_load(user_data) or {}
        for key in sorted(set(config) - KNOWN):
            print('cloud-config: %s is not acted on by this guest' % key, flush=True)
        socket.sethostname(str(config.get('hostname', instance['name'])))
        if config.get('bootcmd'):
            commands('bootcmd', config['bootcmd'])
        for wanted in config.get('write_files', []):
            write_file(wanted)
        if config.get('runcmd'):
            commands('runcmd', config['runcmd'])
        power_state(config.get('power_state') or {})
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.pause()


if __name__ == '__main__':
    STATE, FOLDER = sys.argv[1:]
    main()
