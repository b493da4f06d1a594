"""Types, where they are offered, their Spot prices, and the subnets with what they have left."""
from datetime import datetime, timedelta, timezone

from moto.ec2.models.instance_types import InstanceType

from .lists import matches, page
from .wire import Refused


def _values(about, path):
    """What is at the end of a path in a type's description; lists on the way branch."""
    found = [about]
    for name in path:
        found = [one.get(name) for one in found if isinstance(one, dict)]
        found = [item for one in found for item in (one if isinstance(one, list) else [one])]
    return [str(value).lower() if isinstance(value, bool) else value for value in found]


class _Fields:
    """By what types are filtered, looked up only where a filter asks."""

    def __init__(self, about):
        self.about = about

    def __contains__(self, name):
        return name in InstanceType._filter_attributes

    def __getitem__(self, name):
        return _values(self.about, InstanceType._filter_attributes[name])


def describe_instance_types(stage, params, _key):
    """By pages of 100 at most, as AWS says."""
    wanted = params.get('InstanceTypes') or []
    if wanted and params.get('MaxResults') is not None:
        raise Refused('InvalidParameterCombination', 'The parameter InstanceTypes cannot be used with the parameter MaxResults')
    if len(wanted) > 100:
        raise Refused('InvalidParameterValue', 'The maximum number of instance types is 100.')
    unknown = [name for name in wanted if name not in stage.capacity.types]
    if unknown:
        raise Refused('InvalidInstanceType', 'The following supplied instance types do not exist: [%s]' % ', '.join(unknown))
    found = [stage.capacity.types[name] for name in wanted] if wanted else list(stage.capacity.types.values())
    found = [about for about in found if matches(params.get('Filters'), {}, _Fields(about))]
    shown, token = page(found, params, 100)
    return {'InstanceTypes': shown, 'NextToken': token}


def describe_instance_type_offerings(stage, params, _key):
    kind = params.get('LocationType') or 'region'
    found = []
    for name, zones in sorted(stage.capacity.offered.items()):
        places = {'region': [stage.region], 'availability-zone': sorted(zones)}.get(kind)
        if places is None:
            raise Refused('InvalidParameterValue', 'This stand-in has offerings by region and by availability-zone.')
        found.extend({'InstanceType': name, 'LocationType': kind, 'Location': place} for place in places)
    filters = params.get('Filters')
    found = [one for one in found if matches(filters, {}, {'instance-type': [one['InstanceType']], 'location': [one['Location']]})]
    shown, token = page(found, params, 1000)
    return {'InstanceTypeOfferings': shown, 'NextToken': token}


def describe_spot_price_history(stage, params, _key):
    """The price of now for each type and zone. A price holds since some hours, so that it is in any history that begins now."""
    wanted = params.get('InstanceTypes') or list(stage.capacity.types)
    products = params.get('ProductDescriptions') or ['Linux/UNIX']
    since = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    zones = [params['AvailabilityZone']] if params.get('AvailabilityZone') else stage.capacity.zones
    found = []
    for kind in wanted:
        usage = stage.capacity.types.get(kind, {}).get('SupportedUsageClasses', [])
        for zone in zones:
            if 'spot' not in usage or zone not in stage.capacity.offered[kind]:
                continue
            for product in products:
                if not product.startswith('Linux/UNIX'):
                    continue
                one = {'AvailabilityZone': zone, 'InstanceType': kind, 'ProductDescription': product,
                       'SpotPrice': '%.6f' % stage.capacity.price(kind, zone), 'Timestamp': since}
                fields = {'availability-zone': [zone], 'instance-type': [kind], 'product-description': [product],
                          'spot-price': [one['SpotPrice']]}
                if matches(params.get('Filters'), {}, fields):
                    found.append(one)
    shown, token = page(found, params, 1000, least=1)
    # An empty token, not none, is at the end of this list.
    return {'SpotPriceHistory': shown, 'NextToken': token or ''}


def describe_subnets(stage, params, _key):
    wanted = params.get('SubnetIds')
    known = {subnet.id: subnet for zone in stage.ec2.subnets.values() for subnet in zone.values()}
    for name in wanted or []:
        if name not in known:
            raise Refused('InvalidSubnetID.NotFound', "The subnet ID '%s' does not exist" % name)
    found = []
    for name in wanted or known:
        subnet = known[name]
        tags = {tag['key']: tag['value'] for tag in subnet.get_tags()}
        fields = {'subnet-id': [name], 'vpc-id': [subnet.vpc_id], 'availability-zone': [subnet.availability_zone], 'state': ['available'],
                  'cidr-block': [subnet.cidr_block], 'availabilityZone': [subnet.availability_zone],
                  'default-for-az': [str(subnet.default_for_az).lower()], 'available-ip-address-count': [stage.free(name)]}
        if matches(params.get('Filters'), tags, fields):
            found.append({
                'SubnetId': name, 'VpcId': subnet.vpc_id, 'AvailabilityZone': subnet.availability_zone, 'CidrBlock': subnet.cidr_block,
                'AvailabilityZoneId': subnet.availability_zone_id, 'State': 'available', 'OwnerId': stage.account,
                'AvailableIpAddressCount': stage.free(name), 'DefaultForAz': subnet.default_for_az, 'MapPublicIpOnLaunch': False,
                'SubnetArn': subnet.arn, 'Tags': [{'Key': k, 'Value': v} for k, v in tags.items()]})
    shown, token = page(found, params, 1000)
    return {'Subnets': shown, 'NextToken': token}
