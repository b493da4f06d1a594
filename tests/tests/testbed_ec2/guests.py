"""Guests: they do their user-data, see their metadata service, and end with their instances."""
import gzip
import json
import os
import urllib.error
import urllib.request

from common import control, ec2, in_state, main, one, refused, run, tagged, until

TERMINATES = {'InstanceInitiatedShutdownBehavior': 'terminate'}
V2 = {'MetadataOptions': {'HttpTokens': 'required', 'HttpPutResponseHopLimit': 1, 'InstanceMetadataTags': 'enabled'}}
LOOK = r'''
import os, time, urllib.error, urllib.request
at = os.environ['AWS_EC2_METADATA_SERVICE_ENDPOINT'] + '/latest/'
def ask(path, method='GET', **headers):
    return urllib.request.urlopen(urllib.request.Request(at + path, method=method, headers=headers)).read().decode()
token = ask('api/token', 'PUT', **{'X-aws-ec2-metadata-token-ttl-seconds': '60'})
for path in ('instance-id', 'tags/instance/pool', 'instance-life-cycle'):
    print('it is', ask('meta-data/' + path, **{'X-aws-ec2-metadata-token': token}), flush=True)
'''
WAIT = r'''
while True:
    try:
        print('warned', ask('meta-data/spot/instance-action', **{'X-aws-ec2-metadata-token': token}), flush=True)
        break
    except urllib.error.HTTPError as error:
        print('not yet', error.code, flush=True)
        time.sleep(0.1)
time.sleep(600)
'''


def processes(mark):
    """How many processes of this machine have the mark in their command line."""
    found = 0
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            found += mark.encode() in open('/proc/%s/cmdline' % pid, 'rb').read()
        except OSError:
            pass
    return found


def console(id, **asked):
    # boto3 decodes it.
    return ec2.get_console_output(InstanceId=id, **asked).get('Output') or ''


def ask(port, path, method='GET', **headers):
    """Status and text of the metadata service, as a process of the host sees it."""
    headers = {name.replace('_', '-'): value for name, value in headers.items()}
    request = urllib.request.Request('http://127.0.0.1:%d/%s' % (port, path), method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def a_guest_does_its_user_data_and_its_power_off_terminates():
    mark = 'bed-' + os.urandom(4).hex()
    user_data = '''#cloud-config
write_files:
- {path: /opt/look.py, content: %s}
- {path: /etc/%s, content: "of the guest\\n"}
runcmd:
- [cat, /etc/%s]
- [/usr/bin/python3, /opt/look.py]
- "setsid sh -c 'sleep 600; : %s' &"
power_state: {mode: poweroff}
''' % (json.dumps(LOOK), mark, mark, mark)
    id = run(UserData=gzip.compress(user_data.encode()), TagSpecifications=tagged({'pool': 'of-guests'}), **TERMINATES, **V2)['InstanceId']
    gone = in_state(id, 'terminated')
    assert gone['StateReason']['Code'] == 'Client.InstanceInitiatedShutdown', (gone, control('console', id=id))
    said = control('console', id=id)
    for words in ('of the guest', 'it is ' + id, 'it is of-guests', 'it is on-demand', 'powers off'):
        assert words in said, '%s: %s' % (words, said)
    assert 'powers off' in console(id, Latest=True) and not os.path.exists('/etc/' + mark)
    until('its processes have ended', lambda: processes(mark) == 0)


def the_end_of_an_instance_is_the_end_of_its_guest():
    mark = 'bed-' + os.urandom(4).hex()
    script = "#!/bin/sh\nsetsid sh -c 'while :; do sleep 1; done # %s' &\necho staying\nsleep 600\n" % mark
    ids = [run(UserData=script, **TERMINATES)['InstanceId'] for _ in range(2)]
    for id in ids:
        until('it stays', lambda: 'staying' in control('console', id=id))
    ec2.terminate_instances(InstanceIds=ids)
    until('nothing of them is left', lambda: processes(mark) == 0)
    assert {i['state'] for i in control('instances') if i['id'] in ids} <= {'shutting-down', 'terminated'}
    # Not from its guest's end: a person has terminated them.
    assert {in_state(id, 'terminated')['StateReason']['Code'] for id in ids} == {'Client.UserInitiatedShutdown'}


def a_guest_that_cannot_read_its_user_data_stays():
    id = run(UserData=b'\x1f\x8bnot text', **TERMINATES)['InstanceId']
    until('it fails', lambda: 'BadGzipFile' in control('console', id=id))
    until('its process has ended', lambda: processes(id) == 0)
    assert one(id)['State']['Name'] == 'running', one(id)
    ec2.terminate_instances(InstanceIds=[id])


def the_latest_console_is_for_nitro():
    old = run(InstanceType='t2.micro', UserData='#!/bin/sh\necho before\nsleep 600\n', **TERMINATES)['InstanceId']
    until('it writes', lambda: 'before' in control('console', id=old))
    refused('UnsupportedOperation', ec2.get_console_output, InstanceId=old, Latest=True, words='Nitro')
    assert 'before' in console(old)
    ec2.terminate_instances(InstanceIds=[old])


def the_metadata_service_is_of_version_two_and_of_one_instance():
    first, second = (run(TagSpecifications=tagged({'name': name}), UserData='#!/bin/sh\nsleep 600\n', **V2)['InstanceId'] for name in 'ab')
    ports = {}
    for id in (first, second):
        in_state(id, 'running')
        ports[id] = until('its port', lambda: next(i['metadata_port'] for i in control('instances') if i['id'] == id))
    life = {'X_aws_ec2_metadata_token_ttl_seconds': '60'}
    assert ask(ports[first], 'latest/meta-data/instance-id')[0] == 401, 'without a token'
    assert ask(ports[first], 'latest/api/token', 'PUT')[0] == 400, 'without a life'
    assert ask(ports[first], 'latest/api/token', 'PUT', X_Forwarded_For='10.0.0.1', **life)[0] == 403, 'forwarded'
    status, token = ask(ports[first], 'latest/api/token', 'PUT', **life)
    assert status == 200
    mine = {'X_aws_ec2_metadata_token': token}
    assert ask(ports[first], 'latest/meta-data/instance-id', **mine) == (200, first)
    assert ask(ports[first], 'latest/user-data', **mine) == (200, '#!/bin/sh\nsleep 600\n')
    assert ask(ports[first], 'latest/meta-data/tags/instance/name', **mine) == (200, 'a')
    assert 'instance-id' in ask(ports[first], 'latest/meta-data/', **mine)[1].splitlines()
    assert ask(ports[first], 'latest/meta-data/spot/instance-action', **mine)[0] == 404
    assert ask(ports[second], 'latest/meta-data/instance-id', **mine)[0] == 401, 'a token of another instance'
    document = json.loads(ask(ports[first], 'latest/dynamic/instance-identity/document', **mine)[1])
    assert (document['instanceId'], document['region']) == (first, 'eu-west-3'), document
    ec2.terminate_instances(InstanceIds=[first, second])


def a_spot_guest_is_warned_before_it_is_reclaimed():
    script = '#!/usr/bin/python3\n' + LOOK + WAIT
    id = run(UserData=script, InstanceMarketOptions={'MarketType': 'spot'}, TagSpecifications=tagged({'pool': 'spot'}), **V2)['InstanceId']
    until('it looks', lambda: 'not yet 404' in control('console', id=id))
    control('reclaim', id=id, notice=5)
    until('it is warned', lambda: 'warned {"action": "terminate"' in control('console', id=id))
    assert 'it is spot' in control('console', id=id)
    assert in_state(id, 'terminated')['StateReason']['Code'] == 'Server.SpotInstanceTermination', one(id)


main(a_guest_does_its_user_data_and_its_power_off_terminates, the_end_of_an_instance_is_the_end_of_its_guest,
     a_guest_that_cannot_read_its_user_data_stays, the_latest_console_is_for_nitro,
     the_metadata_service_is_of_version_two_and_of_one_instance, a_spot_guest_is_warned_before_it_is_reclaimed)
