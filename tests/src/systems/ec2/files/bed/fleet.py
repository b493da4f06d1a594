"""CreateFleet of the type `instant`: choices are tried in the order of the strategy, and each that fails is told ("CreateFleet").

Other types of fleets keep a number of instances alive by themselves; they are refused here.
"""
import secrets

from . import launch
from .wire import Refused

UNFULFILLED = 'Unable to fulfill capacity due to your request configuration. Please adjust your request and try again.'


def create_fleet(stage, params, _key):
    return stage.tokens.once('CreateFleet', params, lambda: _create(stage, params))


def _create(stage, params):
    if params.get('Type', 'maintain') != 'instant':
        raise Refused('InvalidParameterValue', 'This stand-in makes fleets of the type instant only.')
    for spec in params.get('TagSpecifications') or []:
        if spec.get('ResourceType') not in ('fleet', 'instance', 'volume', 'network-interface'):
            raise Refused('InvalidParameterValue', "'%s' is not a valid taggable resource type for this operation."
                          % spec.get('ResourceType'))
    capacity = params.get('TargetCapacitySpecification') or {}
    total = int(capacity.get('TotalTargetCapacity') or 0)
    if total < 1:
        raise Refused('InvalidParameterValue', 'TotalTargetCapacity must be at least 1.')
    purchase = capacity.get('DefaultTargetCapacityType') or 'on-demand'
    wanted = {'spot': int(capacity.get('SpotTargetCapacity') or 0), 'on-demand': int(capacity.get('OnDemandTargetCapacity') or 0)}
    wanted[purchase] += total - sum(wanted.values())
    choices = _choices(stage, params)
    fleet = 'fleet-' + '-'.join(secrets.token_hex(n) for n in (4, 2, 2, 2, 6))
    instances, errors = [], []
    for purchase, count in wanted.items():
        options = params.get('SpotOptions' if purchase == 'spot' else 'OnDemandOptions') or {}
        ordered = _ordered(stage, choices, purchase, options.get('AllocationStrategy') or 'lowest-price')
        for _ in range(count):
            made = _one(stage, params, fleet, purchase, ordered, errors, len(instances))
            if made is None:
                break
            instances.append(made)
    return {'FleetId': fleet, 'Instances': instances, 'Errors': errors}


def _choices(stage, params):
    """Every override with the template under it."""
    found = []
    for config in params.get('LaunchTemplateConfigs') or []:
        template, number, data = stage.templates.version(config.get('LaunchTemplateSpecification') or {})
        named = {'LaunchTemplateId': template['id'], 'Version': str(number)}
        for override in config.get('Overrides') or [{}]:
            if override.get('InstanceRequirements'):
                raise Refused('InvalidParameterValue', 'This stand-in does not choose types by InstanceRequirements.')
            found.append((named, override, data))
    if not found:
        raise Refused('MissingParameter', 'The request must contain the parameter LaunchTemplateConfigs')
    pools = [(choice[1].get('InstanceType'), _zone(stage, choice)) for choice in found]
    if len(set(pools)) < len(pools):
        raise Refused('InvalidFleetConfig', 'The fleet configuration contains duplicate instance pools.')
    return found


def _ordered(stage, choices, purchase, strategy):
    def kind(choice):
        return choice[1].get('InstanceType') or choice[2].get('InstanceType') or ''

    def price(choice):
        if kind(choice) not in stage.capacity.types:
            return float('inf')
        return stage.capacity.price(kind(choice), _zone(stage, choice)) if purchase == 'spot' else stage.capacity.on_demand(kind(choice))

    def scarcity(choice):
        return -stage.capacity.room(kind(choice), _zone(stage, choice), purchase)

    def priority(choice):
        given = choice[1].get('Priority')
        return float('inf') if given is None else float(given)

    orders = {
        'lowest-price': price, 'lowestPrice': price, 'prioritized': priority, 'diversified': lambda _: secrets.randbelow(1000),
        'capacity-optimized': scarcity, 'capacity-optimized-prioritized': lambda c: (scarcity(c), priority(c)),
        'price-capacity-optimized': lambda c: (scarcity(c) >= 0, price(c)),
    }
    if strategy not in orders:
        raise Refused('InvalidParameterValue', "Value '%s' for AllocationStrategy is invalid." % strategy)
    return sorted(choices, key=orders[strategy])


def _zone(stage, choice):
    subnet = choice[1].get('SubnetId') or next(iter(choice[2].get('NetworkInterfaces') or []), {}).get('SubnetId')
    for zone, subnets in stage.ec2.subnets.items():
        if subnet in subnets:
            return zone
    return choice[1].get('AvailabilityZone') or stage.capacity.zones[0]


def _one(stage, params, fleet, purchase, choices, errors, number):
    """One instance of the first choice that is to be had, as the answer has it; None when there is none."""
    failed = []
    for named, override, data in choices:
        shown = {'LaunchTemplateAndOverrides': {'LaunchTemplateSpecification': named, 'Overrides': override}, 'Lifecycle': purchase}
        own = {name: override.get(name) for name in ('ImageId', 'InstanceType', 'SubnetId', 'MaxPrice', 'BlockDeviceMappings')}
        if not own.get('MaxPrice') and purchase == 'spot':
            own['MaxPrice'] = data.get('MaxPrice')
        own['TagSpecifications'] = [spec for spec in params.get('TagSpecifications') or [] if spec.get('ResourceType') != 'fleet']
        try:
            asked = launch.merge(data, own)
            wish = launch.read(stage, asked, purchase)
            launch.room(stage, 'CreateFleet', wish, 1)
        except Refused as refused:
            failed.append({**shown, 'ErrorCode': refused.code, 'ErrorMessage': refused.message})
            continue
        system = {'aws:ec2:fleet-id': fleet, 'aws:ec2launchtemplate:id': named['LaunchTemplateId'],
                  'aws:ec2launchtemplate:version': named['Version']}
        one = launch.make(stage, wish, 1, params.get('ClientToken'), system)[0]
        one.index = number
        errors.extend(failed)
        return {**shown, 'InstanceIds': [one.id], 'InstanceType': one.type}
    if stage.masked and len(failed) > 1:
        # AWS often names the cause at one choice, and says of the others only that they came to nothing.
        failed = failed[:1] + [{**one, 'ErrorCode': 'UnfulfillableCapacity', 'ErrorMessage': UNFULFILLED} for one in failed[1:]]
    errors.extend(failed)
    return None


def describe_fleets(stage, params, _key):
    """Instant fleets are known by the tag of their instances."""
    fleets = {}
    for one in stage.book.seen(listing=False):
        if 'aws:ec2:fleet-id' in one.tags:
            fleets.setdefault(one.tags['aws:ec2:fleet-id'], []).append(one)
    wanted = params.get('FleetIds') or list(fleets)
    for name in wanted:
        if name not in fleets:
            raise Refused('InvalidFleetId.NotFound', "The fleet ID '%s' does not exist" % name)
    return {'Fleets': [{'FleetId': name, 'FleetState': 'active', 'Type': 'instant', 'Instances': [
        {'InstanceIds': [one.id], 'InstanceType': one.type, 'Lifecycle': one.purchase} for one in fleets[name]]} for name in wanted]}
