"""What lists say of instances: filters, pages, and each instance as the API shows it."""
import base64
import json
from datetime import datetime, timezone
from fnmatch import fnmatchcase

from .book import CODES
from .wire import Refused


def tags_of(tags):
    return [{'Key': name, 'Value': value} for name, value in tags.items()]


def matches(filters, tags, fields):
    """Whether something meets all filters; the values of one are alternatives, and may have the wildcards * and ?."""
    for one in filters or []:
        name, wanted = one.get('Name', ''), one.get('Values') or []
        if name.startswith('tag:'):
            have = [tags[name[4:]]] if name[4:] in tags else []
        elif name == 'tag-key':
            have = list(tags)
        elif name in fields:
            have = [str(value) for value in fields[name] if value is not None]
        else:
            raise Refused('InvalidParameterValue', "The filter '%s' is invalid" % name)
        if not any(fnmatchcase(value, pattern) for value in have for pattern in map(_literal, wanted)):
            return False
    return True


def _literal(pattern):
    """EC2 knows * and ? only; a bracket is a bracket."""
    return pattern.replace('[', '[[]')


def page(found, params, most, least=5, size=None):
    """The part of a list that a call asks for, and the token of the next. `size` says for how many an entry counts."""
    wanted = params.get('MaxResults')
    if wanted is not None:
        wanted = int(wanted)
        if wanted < least or wanted > most:
            raise Refused('InvalidParameterValue', 'Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.'
                          % (wanted, least, most))
    start = 0
    if params.get('NextToken'):
        try:
            start = json.loads(base64.urlsafe_b64decode(params['NextToken']))['from']
        except (ValueError, KeyError, TypeError):
            raise Refused('InvalidNextToken', 'The token is invalid.') from None
    end, counted = start, 0
    while end < len(found) and (counted == 0 or counted + (size(found[end]) if size else 1) <= (wanted or most)):
        counted += size(found[end]) if size else 1
        end += 1
    token = base64.urlsafe_b64encode(json.dumps({'from': end}).encode()).decode() if end < len(found) else None
    return found[start:end], token


def _fields(one):
    """By what instances are filtered."""
    return {
        'instance-id': [one.id], 'instance-type': [one.type], 'instance-state-name': [one.state],
        'instance-state-code': [CODES[one.state]], 'availability-zone': [one.zone], 'subnet-id': [one.subnet], 'vpc-id': [one.vpc],
        'image-id': [one.image], 'architecture': [one.architecture], 'reservation-id': [one.reservation],
        'client-token': [shown_token(one)],
        'instance-lifecycle': ['spot' if one.purchase == 'spot' else None], 'spot-instance-request-id': [one.spot_request],
        'private-ip-address': [one.address], 'instance.group-id': [g['GroupId'] for g in one.groups],
        'instance.group-name': [g['GroupName'] for g in one.groups], 'state-reason-code': [one.reason], 'reason': [one.transition],
        'root-device-name': [one.root['device']], 'key-name': [one.key_name], 'network-interface.network-interface-id': [one.interface],
        'block-device-mapping.volume-id': [one.root['id']], 'metadata-options.http-tokens': [one.metadata['HttpTokens']],
        'launch-time': [datetime.fromtimestamp(one.launched, timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.000Z')],
    }


def shown_token(one):
    """A fleet launches with tokens of its own."""
    fleet = one.tags.get('aws:ec2:fleet-id')
    return '%s-%d' % (fleet, one.index) if fleet else one.client_token


def find(stage, ids, listing=False):
    """Instances by their ids; refuses as a whole when EC2 knows one of them not, or not yet."""
    seen = {one.id: one for one in stage.book.seen(listing)}
    for name in ids:
        digits = name[2:]
        if not name.startswith('i-') or len(digits) not in (8, 17) or any(c not in '0123456789abcdef' for c in digits):
            raise Refused('InvalidInstanceID.Malformed', 'Invalid id: "%s"' % name)
    lacking = [name for name in ids if name not in seen]
    if len(lacking) == 1:
        raise Refused('InvalidInstanceID.NotFound', "The instance ID '%s' does not exist" % lacking[0])
    if lacking:
        raise Refused('InvalidInstanceID.NotFound', "The instance IDs '%s' do not exist" % ', '.join(lacking))
    return [seen[name] for name in dict.fromkeys(ids)]


def describe_instances(stage, params, _key):
    ids = params.get('InstanceIds') or []
    if ids and params.get('MaxResults') is not None:
        raise Refused('InvalidParameterCombination', 'The parameter instancesSet cannot be used with the parameter maxResults')
    found = find(stage, ids) if ids else stage.book.seen(listing=True)
    reservations = {}
    for one in found:
        if matches(params.get('Filters'), one.tags, _fields(one)):
            reservations.setdefault(one.reservation, []).append(one)
    shown, token = page(list(reservations.values()), params, 1000, size=len)
    return {'Reservations': [reservation(stage, group) for group in shown], 'NextToken': token}


def reservation(stage, group):
    return {'ReservationId': group[0].reservation, 'OwnerId': stage.account, 'Groups': [], 'Instances': [show(stage, one) for one in group]}


def show(stage, one):
    """An instance as the API shows it. One that is terminated has no network and no volumes any more."""
    launched = datetime.fromtimestamp(one.launched, timezone.utc)
    cores = stage.capacity.types[one.type]['VCpuInfo']
    gone = one.state == 'terminated'
    shown = {
        'InstanceId': one.id, 'ImageId': one.image, 'InstanceType': one.type, 'State': {'Code': CODES[one.state], 'Name': one.state},
        'StateTransitionReason': one.transition, 'StateReason': one.state_reason, 'AmiLaunchIndex': one.index, 'LaunchTime': launched,
        'Placement': {'AvailabilityZone': one.zone, 'GroupName': '', 'Tenancy': 'default'}, 'ClientToken': shown_token(one),
        'InstanceLifecycle': 'spot' if one.purchase == 'spot' else None, 'SpotInstanceRequestId': one.spot_request,
        'Architecture': one.architecture, 'Hypervisor': 'xen', 'VirtualizationType': 'hvm', 'RootDeviceName': one.root['device'],
        'RootDeviceType': 'ebs', 'Monitoring': {'State': 'disabled'}, 'MetadataOptions': one.metadata, 'EbsOptimized': False,
        'CpuOptions': {'CoreCount': cores.get('DefaultCores'), 'ThreadsPerCore': cores.get('DefaultThreadsPerCore')},
        'KeyName': one.key_name, 'Tags': tags_of(one.tags) or None, 'PrivateDnsName': '', 'PublicDnsName': '',
    }
    if gone:
        return {**shown, 'BlockDeviceMappings': [], 'NetworkInterfaces': [], 'SecurityGroups': []}
    return {
        **shown, 'SubnetId': one.subnet, 'VpcId': one.vpc, 'SecurityGroups': one.groups, 'PrivateIpAddress': one.address,
        'PrivateDnsName': 'ip-%s.%s.compute.internal' % (one.address.replace('.', '-'), stage.region), 'SourceDestCheck': True,
        'BlockDeviceMappings': [{'DeviceName': one.root['device'], 'Ebs': {
            'VolumeId': one.root['id'], 'Status': 'attached', 'DeleteOnTermination': one.root['ends'], 'AttachTime': launched}}],
        'NetworkInterfaces': [{
            'NetworkInterfaceId': one.interface, 'SubnetId': one.subnet, 'VpcId': one.vpc, 'PrivateIpAddress': one.address,
            'Status': 'in-use', 'Groups': one.groups, 'OwnerId': stage.account, 'SourceDestCheck': True, 'InterfaceType': 'interface'}],
    }


def describe_instance_status(stage, params, _key):
    ids = params.get('InstanceIds') or []
    found = find(stage, ids) if ids else stage.book.seen(listing=True)
    if str(params.get('IncludeAllInstances', 'false')).lower() != 'true':
        found = [one for one in found if one.state == 'running']
    found = [one for one in found if matches(params.get('Filters'), one.tags, _fields(one))]
    shown, token = page(found, params, 1000)
    runs = {True: 'ok', False: 'not-applicable'}
    return {'NextToken': token, 'InstanceStatuses': [{
        'InstanceId': one.id, 'AvailabilityZone': one.zone, 'InstanceState': {'Code': CODES[one.state], 'Name': one.state},
        'InstanceStatus': {'Status': runs[one.state == 'running']}, 'SystemStatus': {'Status': runs[one.state == 'running']}}
        for one in shown]}


def describe_volumes(stage, params, _key):
    """The root volumes of instances; what a terminated instance leaves is `available`."""
    found = []
    for one in stage.book.seen(listing=True):
        gone = one.state == 'terminated'
        if gone and one.root['ends'] or params.get('VolumeIds') and one.root['id'] not in params['VolumeIds']:
            continue
        fields = {'volume-id': [one.root['id']], 'status': ['available' if gone else 'in-use'],
                  'attachment.instance-id': [None if gone else one.id], 'availability-zone': [one.zone],
                  'encrypted': [str(one.root['encrypted']).lower()]}
        if matches(params.get('Filters'), one.volume_tags, fields):
            found.append((one, gone))
    shown, token = page(found, params, 1000)
    return {'NextToken': token, 'Volumes': [{
        'VolumeId': one.root['id'], 'Size': one.root['size'], 'VolumeType': one.root['type'], 'Encrypted': one.root['encrypted'],
        'SnapshotId': one.root['snapshot'], 'AvailabilityZone': one.zone, 'State': 'available' if gone else 'in-use',
        'CreateTime': datetime.fromtimestamp(one.launched, timezone.utc), 'Tags': tags_of(one.volume_tags) or None,
        'Attachments': [] if gone else [{
            'InstanceId': one.id, 'VolumeId': one.root['id'], 'Device': one.root['device'], 'State': 'attached',
            'DeleteOnTermination': one.root['ends']}]} for one, gone in shown]}
