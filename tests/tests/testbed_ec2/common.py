"""What the checks of the EC2 stand-in have in common: clients of boto3, the control of the stand-in, and what they expect."""
import json
import os
import time
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ['BED_ENDPOINT']
REGION = 'eu-west-3'
PATIENCE = 60


def control(word, /, **arguments):
    """What control answers."""
    request = urllib.request.Request('%s/_bed/%s' % (ENDPOINT, word), data=json.dumps(arguments).encode(), method='POST')
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


FACTS = control('facts')
SUBNETS = [subnet for subnet, _ in FACTS['subnets']]
IMAGE = FACTS['images']['default']


def client(service, key=None, secret=None, token=None, tries=0):
    return boto3.client(
        service, region_name=REGION, endpoint_url=ENDPOINT, aws_access_key_id=key or FACTS['access_key'],
        aws_secret_access_key=secret or FACTS['secret_key'], aws_session_token=token,
        config=Config(retries={'max_attempts': tries, 'mode': 'standard'}, read_timeout=PATIENCE, proxies={}))


ec2 = client('ec2')


def refused(code, call, *arguments, status=None, words='', **named):
    """Holds that a call is refused so; the error's message."""
    try:
        said = call(*arguments, **named)
    except ClientError as error:
        have = error.response['Error']
        assert have['Code'] == code, '%s, not %s: %s' % (have['Code'], code, have['Message'])
        have_status = error.response['ResponseMetadata']['HTTPStatusCode']
        assert status in (None, have_status), '%s with %d, not %s' % (code, have_status, status)
        assert words in have['Message'], have['Message']
        return have['Message']
    raise AssertionError('not refused with %s: %s' % (code, said))


def until(what, holds):
    """Looks until something holds; what it gave."""
    begun = time.monotonic()
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() - begun < PATIENCE, 'not within %d s: %s' % (PATIENCE, what)
        time.sleep(0.05)


def tagged(tags, kind='instance'):
    return [{'ResourceType': kind, 'Tags': [{'Key': name, 'Value': value} for name, value in tags.items()]}]


def run(**more):
    """RunInstances of one small instance; what it answers of the instance."""
    asked = dict(ImageId=IMAGE, InstanceType='m5.large', SubnetId=SUBNETS[0], MinCount=1, MaxCount=1)
    return ec2.run_instances(**{**asked, **more})['Instances'][0]


def one(id):
    return ec2.describe_instances(InstanceIds=[id])['Reservations'][0]['Instances'][0]


def listed(**asked):
    pages = ec2.get_paginator('describe_instances').paginate(**asked)
    return [found['InstanceId'] for page in pages for group in page['Reservations'] for found in group['Instances']]


def by_tag(name, value):
    return listed(Filters=[{'Name': 'tag:' + name, 'Values': [value]}])


def in_state(id, state):
    return until('%s is %s' % (id, state), lambda: one(id)['State']['Name'] == state and one(id))


def template(**data):
    """A launch template; its id."""
    asked = dict(ImageId=IMAGE, InstanceType='m5.large')
    made = ec2.create_launch_template(LaunchTemplateName='t-%s' % os.urandom(6).hex(), LaunchTemplateData={**asked, **data})
    return made['LaunchTemplate']['LaunchTemplateId']


def fleet(overrides, purchase='on-demand', template_id=None, **more):
    """CreateFleet of one instance."""
    asked = dict(
        Type='instant', LaunchTemplateConfigs=[{
            'LaunchTemplateSpecification': {'LaunchTemplateId': template_id or template(), 'Version': '$Latest'}, 'Overrides': overrides}],
        TargetCapacitySpecification={'TotalTargetCapacity': 1, 'DefaultTargetCapacityType': purchase})
    return ec2.create_fleet(**{**asked, **more})


def main(*checks):
    for check in checks:
        begun = time.monotonic()
        check()
        control('relent')
        print('%-70s %.1f s' % (check.__name__.replace('_', ' '), time.monotonic() - begun), flush=True)
