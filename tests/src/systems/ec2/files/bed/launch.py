"""One launch: what is asked for is read and held against the account, and an instance comes of it or a refusal.

A launch is asked for in the words of a launch template, to which RunInstances and each override of a fleet come down.
"""
import base64
import binascii
import secrets
import time
from dataclasses import dataclass

from moto.ec2.exceptions import EC2ClientError

from .book import Instance
from .wire import Refused

USER_DATA = 16384


@dataclass
class Wish:
    """What every instance of a launch has alike."""
    type: str
    purchase: str
    image: object
    subnet: object
    groups: list
    user_data: bytes
    root: dict
    metadata: dict
    on_shutdown: str
    tags: dict
    volume_tags: dict
    interface_tags: dict
    max_price: str
    profile: dict
    key_name: str


def identifier(kind):
    return '%s-0%s' % (kind, secrets.token_hex(8))


def merge(template, own):
    """What the call itself says goes before what its template says; tags of the same resource are joined."""
    merged = {**template, **{name: value for name, value in own.items() if value is not None}}
    specs = {}
    for spec in (template.get('TagSpecifications') or []) + (own.get('TagSpecifications') or []):
        specs.setdefault(spec['ResourceType'], {}).update({tag['Key']: tag.get('Value', '') for tag in spec.get('Tags', [])})
    merged['TagSpecifications'] = [{'ResourceType': kind, 'Tags': [{'Key': k, 'Value': v} for k, v in tags.items()]}
                                   for kind, tags in specs.items()]
    if own.get('SubnetId'):
        # A subnet of an override goes into the template's first network interface.
        merged['NetworkInterfaces'] = [{**spec, 'SubnetId': own['SubnetId']} for spec in merged.get('NetworkInterfaces') or []]
    return merged


def read(stage, asked, purchase=None):
    """The wish in what is asked for; refuses what EC2 refuses before it looks whether there is room."""
    user_data = _user_data(asked.get('UserData'))
    market = asked.get('InstanceMarketOptions') or {}
    purchase = purchase or ('spot' if market.get('MarketType') == 'spot' else 'on-demand')
    if not asked.get('ImageId'):
        raise Refused('MissingParameter', 'The request must contain the parameter ImageId')
    image = _image(stage, asked['ImageId'])
    kind = asked.get('InstanceType') or 'm1.small'
    about = stage.capacity.known(kind)
    supported = about['ProcessorInfo']['SupportedArchitectures']
    if image.architecture not in supported:
        raise Refused('InvalidParameterValue', "The architecture '%s' of the specified instance type does not match the architecture '%s' "
                      "of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can "
                      "use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI."
                      % (','.join(supported), image.architecture))
    subnet, groups = _network(stage, asked)
    specs = {spec['ResourceType']: {tag['Key']: tag.get('Value', '') for tag in spec.get('Tags', [])}
             for spec in asked.get('TagSpecifications') or []}
    for tags in specs.values():
        if len(tags) > 50:
            raise Refused('TagLimitExceeded', 'The maximum number of Tags for a resource has been reached.')
    spot = market.get('SpotOptions') or {}
    return Wish(
        type=kind, purchase=purchase, image=image, subnet=subnet, groups=groups, user_data=user_data,
        root=_root(image, asked.get('BlockDeviceMappings') or []), metadata=_metadata(asked.get('MetadataOptions') or {}),
        on_shutdown=asked.get('InstanceInitiatedShutdownBehavior') or 'stop', tags=specs.get('instance', {}),
        volume_tags=specs.get('volume', {}), interface_tags=specs.get('network-interface', {}),
        max_price=asked.get('MaxPrice') or spot.get('MaxPrice'), profile=asked.get('IamInstanceProfile'), key_name=asked.get('KeyName'))


def _user_data(text):
    if not text:
        return b''
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused('InvalidParameterValue', 'Invalid BASE64 encoding of user data.') from None
    if len(data) > USER_DATA:
        raise Refused('InvalidParameterValue', 'User data is limited to %d bytes' % USER_DATA)
    return data


def _image(stage, name):
    if name.startswith('resolve:ssm:'):
        try:
            name = stage.ssm.get_parameter(name[len('resolve:ssm:'):]).value
        except Exception:
            raise Refused('InvalidParameterValue', 'The parameter %s could not be resolved' % name) from None
    if not name.startswith('ami-'):
        raise Refused('InvalidAMIID.Malformed', 'Invalid id: "%s" (expecting "ami-...")' % name)
    image = stage.ec2.amis.get(name)
    if image is None:
        raise Refused('InvalidAMIID.NotFound', "The image id '[%s]' does not exist" % name)
    if image.state != 'available':
        raise Refused('InvalidAMIID.Unavailable', "The image id '[%s]' is not available" % name)
    return image


def _network(stage, asked):
    interface = next(iter(asked.get('NetworkInterfaces') or []), {})
    name = asked.get('SubnetId') or interface.get('SubnetId')
    if not name:
        raise Refused('VPCIdNotSpecified', 'No default VPC for this user')
    try:
        subnet = stage.ec2.get_subnet(name)
    except EC2ClientError:
        raise Refused('InvalidSubnetID.NotFound', "The subnet ID '%s' does not exist" % name) from None
    wanted = asked.get('SecurityGroupIds') or interface.get('Groups') or []
    groups = []
    for name in wanted:
        group = stage.ec2.get_security_group_from_id(name)
        if group is None:
            raise Refused('InvalidGroup.NotFound', "The security group '%s' does not exist" % name)
        if group.vpc_id != subnet.vpc_id:
            raise Refused('InvalidParameter', 'Security group %s and subnet %s belong to different networks.' % (name, subnet.id))
        groups.append(group)
    if not groups:
        groups = [stage.ec2.get_security_group_from_name('default', subnet.vpc_id)]
    return subnet, groups


def _root(image, mappings):
    of_image = image.block_device_mappings[0]
    own = next((m for m in mappings if m.get('DeviceName') == of_image['DeviceName']), {}).get('Ebs') or {}
    size = int(own.get('VolumeSize') or of_image['Ebs']['VolumeSize'])
    if size < of_image['Ebs']['VolumeSize']:
        raise Refused('InvalidBlockDeviceMapping', "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB"
                      % (size, of_image['Ebs']['SnapshotId'], of_image['Ebs']['VolumeSize']))
    ends = own.get('DeleteOnTermination')
    return {
        'device': of_image['DeviceName'], 'id': None, 'size': size, 'type': own.get('VolumeType') or of_image['Ebs']['VolumeType'],
        'encrypted': str(own.get('Encrypted', False)).lower() == 'true', 'snapshot': of_image['Ebs']['SnapshotId'],
        'ends': of_image['Ebs']['DeleteOnTermination'] if ends is None else str(ends).lower() == 'true'}


def _metadata(options):
    return {'State': 'applied', 'HttpTokens': options.get('HttpTokens') or 'optional',
            'HttpPutResponseHopLimit': int(options.get('HttpPutResponseHopLimit') or 1),
            'HttpEndpoint': options.get('HttpEndpoint') or 'enabled', 'HttpProtocolIpv6': 'disabled',
            'InstanceMetadataTags': options.get('InstanceMetadataTags') or 'disabled'}


def room(stage, action, wish, count):
    """Refuses what the account or the zone has no room for."""
    zone = wish.subnet.availability_zone
    stage.faults.refuse(action, {
        'type': wish.type, 'zone': zone, 'purchase': wish.purchase, 'subnet': wish.subnet.id, 'image': wish.image.id})
    if zone not in stage.capacity.offered[wish.type]:
        stage.capacity.check(wish.type, zone, wish.purchase, count)
    stage.quotas.check(stage, wish.type, wish.purchase, count)
    if stage.free(wish.subnet.id) < count:
        raise Refused('InsufficientFreeAddressesInSubnet', "There are not enough free addresses in subnet '%s' to satisfy the requested "
                      'number of instances.' % wish.subnet.id)
    price = stage.capacity.price(wish.type, zone)
    if wish.purchase == 'spot' and wish.max_price and float(wish.max_price) < price:
        raise Refused('SpotMaxPriceTooLow', 'Your Spot request price of %s is lower than the minimum required Spot request fulfillment '
                      'price of %s.' % (wish.max_price, price))
    stage.capacity.check(wish.type, zone, wish.purchase, count)


def make(stage, wish, count, client_token, system_tags=None):
    """The instances, all of one reservation."""
    reservation, made = identifier('r'), []
    now = time.time()
    for index in range(count):
        root = dict(wish.root, id=identifier('vol'))
        zone = wish.subnet.availability_zone
        one = Instance(
            id=identifier('i'), reservation=reservation, index=index, type=wish.type, purchase=wish.purchase, image=wish.image.id,
            architecture=wish.image.architecture, subnet=wish.subnet.id, zone=zone, vpc=wish.subnet.vpc_id,
            groups=[{'GroupId': group.id, 'GroupName': group.name} for group in wish.groups], address=_address(stage, wish.subnet),
            tags={**(system_tags or {}), **wish.tags}, client_token=client_token or '', user_data=wish.user_data,
            metadata=dict(wish.metadata), on_shutdown=wish.on_shutdown, root=root, launched=now, visible=now + stage.book.late,
            interface=identifier('eni'), volume_tags=wish.volume_tags, interface_tags=wish.interface_tags, max_price=wish.max_price,
            profile=wish.profile, key_name=wish.key_name, spot_request='sir-' + secrets.token_hex(4) if wish.purchase == 'spot' else None,
            pools=stage.capacity.take(wish.type, zone, wish.purchase))
        stage.book.add(one)
        made.append(one)
    return made


def _address(stage, subnet):
    taken = {one.address for one in stage.book.instances.values() if one.state != 'terminated'}
    hosts = subnet.cidr.hosts()
    # The first four and the last of a subnet are AWS's.
    for _ in range(3):
        next(hosts)
    return next(str(host) for host in hosts if str(host) not in taken)
