"""The account: its keys, network, images and queue at moto, and beside it what we keep ourselves."""
import json
import os
import secrets
import threading
from datetime import datetime, timezone

from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.utils import random_ami_id
from moto.sqs.models import sqs_backends
from moto.ssm.models import ssm_backends

from .book import Book
from .capacity import Capacity
from .faults import Faults
from .guests import Guests
from .idempotency import Tokens
from .identity import Identity
from .metadata import Metadata
from .quotas import Quotas
from .reclaims import Reclaims
from .templates import Templates

ACCOUNT = '123456789012'
REGION = 'eu-west-3'
QUEUE = 'dirac-notices'
PARAMETER = '/dirac/pilot/image'
IMAGES = {
    'default': ('dirac-pilot-1', 'x86_64', '2026-10-01T08:00:00Z'),
    'newer': ('dirac-pilot-2', 'x86_64', '2026-11-15T08:00:00Z'),
    'gpu': ('dirac-gpu-1', 'x86_64', '2026-10-02T08:00:00Z'),
    'arm': ('dirac-arm-1', 'arm64', '2026-10-03T08:00:00Z'),
}


class Image(Ami):
    """An image of the account's own, with a root volume of 8 GiB."""

    size = 8

    @property
    def block_device_mappings(self):
        return [{'DeviceName': self.root_device_name, 'Ebs': {
            'SnapshotId': self.ebs_snapshot.id, 'VolumeSize': self.size, 'DeleteOnTermination': True, 'VolumeType': 'gp3',
            'Encrypted': False}}]


class Stage:
    def __init__(self, state, address, port):
        self.state, self.port = state, port
        self.endpoint = 'http://%s:%d' % (address, port)
        self.region, self.account = REGION, ACCOUNT
        # What is ours is changed by one call at a time.
        self.lock = threading.RLock()
        self.faults = Faults()
        self.identity = Identity(ACCOUNT, self.endpoint)
        self.ec2 = ec2_backends[ACCOUNT][REGION]
        self.sqs = sqs_backends[ACCOUNT][REGION]
        self.ssm = ssm_backends[ACCOUNT][REGION]
        self.tokens = Tokens()
        self.templates = Templates()
        self.capacity = Capacity(REGION)
        self.quotas = Quotas()
        self.free_addresses = {}
        # Whether a fleet that comes to nothing names the cause once and hides it for the other choices.
        self.masked = False
        self.guests = Guests(self)
        self.metadata = Metadata(self)
        self.book = Book(self)
        self.reclaims = Reclaims(self)
        self._seed()
        self.book.start()

    def _seed(self):
        vpc = self.ec2.create_vpc('10.80.0.0/16')
        self.vpc = vpc.id
        self.subnets = []
        for number, letter in enumerate('abc'):
            subnet = self.ec2.create_subnet(vpc.id, '10.80.%d.0/20' % (16 * number), availability_zone=REGION + letter)
            self.subnets.append((subnet.id, REGION + letter))
        other = self.ec2.create_vpc('10.81.0.0/16')
        self.other_subnet = self.ec2.create_subnet(other.id, '10.81.0.0/24', availability_zone=REGION + 'a').id
        self.security_group = self.ec2.create_security_group('dirac-pilots', 'pilots of DIRAC', vpc_id=vpc.id).id
        self.images = {word: self.add_image(*about) for word, about in IMAGES.items()}
        self.sqs.create_queue(QUEUE)
        self.queue_url = '%s/%s/%s' % (self.endpoint, ACCOUNT, QUEUE)
        self.ssm.put_parameter(PARAMETER, '', self.images['default'], 'String', '', '', True, [], 'text', 'Standard', None)
        token = os.path.join(self.state, 'web-identity-token')
        with open(token, 'w') as out:
            out.write(self.identity.web_token('system:serviceaccount:dirac-operator:dirac-operator'))
        os.chmod(token, 0o600)

    def add_image(self, name, architecture, created, size=8):
        image = Image(self.ec2, random_ami_id(), name=name, description=name, architecture=architecture, virtualization_type='hvm',
                      hypervisor='xen', root_device_type='ebs', root_device_name='/dev/xvda', owner_id=ACCOUNT,
                      image_location='%s/%s' % (ACCOUNT, name), creation_date=datetime.strptime(created, '%Y-%m-%dT%H:%M:%SZ'))
        image.size = size
        self.ec2.amis[image.id] = image
        return image.id

    def facts(self):
        """What a test must know to begin."""
        key, secret = self.identity.user
        return {
            'access_key': key, 'secret_key': secret, 'vpc': self.vpc, 'subnets': self.subnets, 'other_subnet': self.other_subnet,
            'security_group': self.security_group, 'images': self.images, 'queue_url': self.queue_url, 'role_arn': self.identity.role_arn,
            'web_identity_token': os.path.join(self.state, 'web-identity-token'), 'account': ACCOUNT,
        }

    def send(self, zone, kind, detail):
        """An event as EventBridge's rule hands it on to the queue."""
        now = datetime.now(timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')
        event = {
            'version': '0', 'id': '-'.join(secrets.token_hex(n) for n in (4, 2, 2, 2, 6)), 'detail-type': kind, 'source': 'aws.ec2',
            'account': ACCOUNT, 'time': now, 'region': REGION,
            'resources': ['arn:aws:ec2:%s:instance/%s' % (zone, detail['instance-id'])], 'detail': detail,
        }
        self.sqs.send_message(QUEUE, json.dumps(event))

    def free(self, subnet):
        """Addresses that a subnet has left."""
        known = self.ec2.get_subnet(subnet)
        used = sum(1 for one in self.book.instances.values() if one.subnet == subnet and one.state not in ('terminated',))
        return max(0, self.free_addresses.get(subnet, known.cidr.num_addresses - 5) - used)
