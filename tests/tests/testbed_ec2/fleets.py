"""CreateFleet of the type instant: choices in order, partial errors, tokens, tags."""
from common import FACTS, SUBNETS, by_tag, control, ec2, fleet, in_state, main, one, refused, run, tagged, template


def choices(*pairs, **more):
    return [{'InstanceType': kind, 'SubnetId': subnet, 'Priority': float(n), **more} for n, (kind, subnet) in enumerate(pairs)]


def ended(said):
    ec2.terminate_instances(InstanceIds=said['Instances'][0]['InstanceIds'])


def the_first_choice_that_is_to_be_had_is_bought_and_the_others_are_told():
    control('capacity', type='m5.large', zone='eu-west-3a', purchase='on-demand', left=0)
    name = template(TagSpecifications=tagged({'a': 'template', 'b': 'template'}) + tagged({'v': 'volume'}, 'volume'))
    said = fleet(
        choices(('g6.xlarge', SUBNETS[0]), ('m5.large', SUBNETS[0]), ('m5.large', SUBNETS[1]), ('c5.large', SUBNETS[0])), template_id=name,
        OnDemandOptions={'AllocationStrategy': 'prioritized'}, TagSpecifications=tagged({'b': 'fleet'}) + tagged({'f': 'f'}, 'fleet'),
        ClientToken='fleet-1')
    made = said['Instances'][0]
    assert (made['InstanceType'], made['Lifecycle'], len(made['InstanceIds'])) == ('m5.large', 'on-demand', 1), made
    assert made['LaunchTemplateAndOverrides']['Overrides']['SubnetId'] == SUBNETS[1], made
    errors = {(e['ErrorCode'], e['LaunchTemplateAndOverrides']['Overrides']['InstanceType'], e['Lifecycle']) for e in said['Errors']}
    assert errors == {('Unsupported', 'g6.xlarge', 'on-demand'), ('InsufficientInstanceCapacity', 'm5.large', 'on-demand')}, said['Errors']
    id = made['InstanceIds'][0]
    tags = {tag['Key']: tag['Value'] for tag in one(id)['Tags']}
    assert (tags['a'], tags['b'], tags['aws:ec2:fleet-id'], tags['aws:ec2launchtemplate:id']) == \
        ('template', 'fleet', said['FleetId'], name), tags
    assert by_tag('aws:ec2:fleet-id', said['FleetId']) == [id]
    kept = next(i for i in control('instances') if i['id'] == id)
    assert (kept['client_token'], kept['volume_tags']) == ('fleet-1', {'v': 'volume'}), kept
    assert ec2.describe_fleets(FleetIds=[said['FleetId']])['Fleets'][0]['Instances'][0]['InstanceIds'] == [id]
    control('capacity', type='m5.large', zone='eu-west-3a', purchase='on-demand', left=None)
    ended(said)


def one_token_is_one_fleet():
    name = template()
    asked = dict(overrides=choices(('m5.large', SUBNETS[0])), template_id=name, ClientToken='fleet-2')
    first, again = fleet(**asked), fleet(**asked)
    assert first['FleetId'] == again['FleetId'] and first['Instances'] == again['Instances'], (first, again)
    refused('IdempotentParameterMismatch', fleet, choices(('c5.large', SUBNETS[0])), template_id=name, ClientToken='fleet-2')
    launched = [e for e in control('history') if e['what'] == 'launched' and e['client_token'] == 'fleet-2']
    assert len(launched) == 1, launched
    # A fleet that came to nothing is a fleet too: its token is used.
    control('capacity', type='*', zone='*', purchase='on-demand', left=0)
    nothing = fleet(**{**asked, 'ClientToken': 'fleet-3'})
    assert nothing['Instances'] == [] and nothing['Errors'][0]['ErrorCode'] == 'InsufficientInstanceCapacity', nothing
    control('capacity', type='*', zone='*', purchase='on-demand', left=None)
    again = fleet(**{**asked, 'ClientToken': 'fleet-3'})
    assert again['FleetId'] == nothing['FleetId'] and again['Instances'] == [], again
    ended(first)


def spot_has_its_own_capacity_and_price():
    control('capacity', type='m5.large', zone='*', purchase='spot', left=0)
    said = fleet(choices(('m5.large', SUBNETS[0])), 'spot')
    error = said['Errors'][0]
    assert error['ErrorCode'] == 'InsufficientInstanceCapacity' and 'no Spot capacity' in error['ErrorMessage'], said
    ended(fleet(choices(('m5.large', SUBNETS[0]))))
    control('capacity', type='m5.large', zone='*', purchase='spot', left=None)
    control('price', type='m5.large', zone='eu-west-3a', dollars=0.05)
    said = fleet(choices(('m5.large', SUBNETS[0]), MaxPrice='0.04'), 'spot')
    assert said['Errors'][0]['ErrorCode'] == 'SpotMaxPriceTooLow', said
    said = fleet(choices(('m5.large', SUBNETS[0]), MaxPrice='0.06'), 'spot')
    made = one(said['Instances'][0]['InstanceIds'][0])
    assert made['InstanceLifecycle'] == 'spot' and said['Instances'][0]['Lifecycle'] == 'spot', made
    control('price', type='m5.large', zone='eu-west-3b', dollars=0.01)
    both = choices(('m5.large', SUBNETS[0]), ('m5.large', SUBNETS[1]))
    cheapest = fleet(both, 'spot', SpotOptions={'AllocationStrategy': 'lowest-price'})
    assert one(cheapest['Instances'][0]['InstanceIds'][0])['Placement']['AvailabilityZone'] == 'eu-west-3b', cheapest
    prices = ec2.describe_spot_price_history(InstanceTypes=['m5.large'], ProductDescriptions=['Linux/UNIX'])['SpotPriceHistory']
    by_zone = {p['AvailabilityZone']: float(p['SpotPrice']) for p in prices}
    assert by_zone['eu-west-3a'] == 0.05 and by_zone['eu-west-3b'] == 0.01 and by_zone['eu-west-3c'] > 0, by_zone
    for zone in 'ab':
        control('price', type='m5.large', zone='eu-west-3' + zone, dollars=None)
    ended(said)
    ended(cheapest)


def each_choice_is_refused_for_itself():
    said = fleet(choices(('m5.large', 'subnet-0123456789abcdef0'), ('m5.tiny', SUBNETS[0]), ('m6g.large', SUBNETS[0])))
    codes = {e['LaunchTemplateAndOverrides']['Overrides']['InstanceType']: e['ErrorCode'] for e in said['Errors']}
    assert said['Instances'] == [] and codes == {
        'm5.large': 'InvalidSubnetID.NotFound', 'm5.tiny': 'InvalidParameterValue', 'm6g.large': 'InvalidParameterValue'}, said
    ended(fleet([{'InstanceType': 'm6g.large', 'SubnetId': SUBNETS[0], 'ImageId': FACTS['images']['arm']}]))
    control('vcpus', code='L-DB2E81BA', value=0)
    said = fleet(choices(('g4dn.xlarge', SUBNETS[0]), ('m5.large', SUBNETS[0])), OnDemandOptions={'AllocationStrategy': 'prioritized'})
    assert [e['ErrorCode'] for e in said['Errors']] == ['VcpuLimitExceeded'] and said['Instances'][0]['InstanceType'] == 'm5.large', said
    ended(said)
    control('vcpus', code='L-DB2E81BA', value=None)
    control('refuse', code='RequestLimitExceeded', message='Request limit exceeded.', filter={'zone': 'eu-west-3a'})
    said = fleet(choices(('m5.large', SUBNETS[0])))
    assert said['Errors'][0]['ErrorCode'] == 'RequestLimitExceeded', said
    refused('RequestLimitExceeded', run, status=503)
    control('relent')
    control('capacity', type='*', zone='*', purchase='on-demand', left=0)
    control('masked', on=True)
    said = fleet(choices(('m5.large', SUBNETS[0]), ('c5.large', SUBNETS[0])))
    assert {e['ErrorCode'] for e in said['Errors']} == {'InsufficientInstanceCapacity', 'UnfulfillableCapacity'}, said
    control('masked', on=False)
    control('capacity', type='*', zone='*', purchase='on-demand', left=None)


def what_is_wrong_with_the_whole_is_refused():
    refused('InvalidLaunchTemplateId.NotFound', fleet, choices(('m5.large', SUBNETS[0])), template_id='lt-0123456789abcdef0')
    refused('InvalidParameterValue', fleet, choices(('m5.large', SUBNETS[0])), Type='maintain', words='instant only')
    refused('DryRunOperation', fleet, choices(('m5.large', SUBNETS[0])), DryRun=True, status=412)
    refused('InvalidFleetConfig', fleet, choices(('m5.large', SUBNETS[0]), ('c5.large', SUBNETS[0]), ('m5.large', SUBNETS[0])))
    control('fleets', on=False)
    refused('InvalidAction', fleet, choices(('m5.large', SUBNETS[0])))
    control('fleets', on=True)


def an_instance_of_a_fleet_halts_as_its_template_says():
    said = fleet(choices(('m5.large', SUBNETS[0])), template_id=template(InstanceInitiatedShutdownBehavior='terminate'))
    id = said['Instances'][0]['InstanceIds'][0]
    control('power-off', id=id)
    assert in_state(id, 'terminated')['StateReason']['Code'] == 'Client.InstanceInitiatedShutdown'


main(the_first_choice_that_is_to_be_had_is_bought_and_the_others_are_told, one_token_is_one_fleet, spot_has_its_own_capacity_and_price,
     each_choice_is_refused_for_itself, what_is_wrong_with_the_whole_is_refused, an_instance_of_a_fleet_halts_as_its_template_says)
