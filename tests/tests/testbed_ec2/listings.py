"""Lists: filters and pages, and lists that are late, partial or lack something; types, offerings and images."""
from common import FACTS, SUBNETS, by_tag, control, ec2, listed, main, one, refused, run, tagged


def lists_have_filters_and_pages():
    made = ec2.run_instances(ImageId=FACTS['images']['default'], InstanceType='t3.micro', SubnetId=SUBNETS[0], MinCount=1, MaxCount=1)
    ids = [made['Instances'][0]['InstanceId']]
    ids += [run(TagSpecifications=tagged({'pool': 'paged', 'n': str(n)}))['InstanceId'] for n in range(12)]
    assert sorted(by_tag('pool', 'paged')) == sorted(ids[1:])
    assert sorted(by_tag('pool', 'pa?e*')) == sorted(ids[1:]) and by_tag('pool', 'pa[g]ed') == []
    pages = list(ec2.get_paginator('describe_instances').paginate(
        Filters=[{'Name': 'tag:pool', 'Values': ['paged']}], PaginationConfig={'PageSize': 5}))
    assert [sum(len(r['Instances']) for r in p['Reservations']) for p in pages] == [5, 5, 2], [len(p['Reservations']) for p in pages]
    assert len(listed(Filters=[{'Name': 'tag-key', 'Values': ['n']}, {'Name': 'tag:n', 'Values': ['3', '4']}])) == 2
    alive = {'Name': 'instance-state-name', 'Values': ['pending', 'running']}
    assert listed(Filters=[{'Name': 'instance-type', 'Values': ['t3.*']}, alive]) == ids[:1]
    refused('InvalidParameterValue', listed, Filters=[{'Name': 'colour', 'Values': ['red']}], words="filter 'colour' is invalid")
    refused('InvalidParameterValue', ec2.describe_instances, MaxResults=1001)
    refused('InvalidParameterCombination', ec2.describe_instances, InstanceIds=ids[:1], MaxResults=5)
    refused('InvalidInstanceID.NotFound', ec2.terminate_instances, InstanceIds=ids + ['i-0123456789abcdef0'])
    assert one(ids[0])['State']['Name'] in ('pending', 'running'), 'none of a request is terminated when one is not there'
    ec2.create_tags(Resources=[ids[0]], Tags=[{'Key': 'late', 'Value': 'yes'}])
    assert by_tag('late', 'yes') == ids[:1]
    ec2.delete_tags(Resources=[ids[0]], Tags=[{'Key': 'late'}])
    assert by_tag('late', 'yes') == []
    refused('InvalidInstanceID.NotFound', ec2.create_tags, Resources=['i-0123456789abcdef0'], Tags=[{'Key': 'a', 'Value': 'b'}])
    ec2.create_tags(Resources=[FACTS['security_group']], Tags=[{'Key': 'theirs', 'Value': 'of moto'}])
    assert len(ec2.terminate_instances(InstanceIds=ids)['TerminatingInstances']) == 13


def lists_are_late_and_partial_as_a_test_says():
    first, second = (run(TagSpecifications=tagged({'pool': 'seen'}))['InstanceId'] for _ in range(2))
    control('hide', ids=[first])
    assert by_tag('pool', 'seen') == [second] and one(first)['InstanceId'] == first
    control('show')
    control('partial', on=True)
    assert listed() == [] and one(second)['InstanceId'] == second
    assert ec2.describe_instance_status(IncludeAllInstances=True)['InstanceStatuses'] == []
    control('partial', on=False)
    assert sorted(by_tag('pool', 'seen')) == sorted([first, second])
    control('times', late=3600)
    third = run(TagSpecifications=tagged({'pool': 'seen'}), ClientToken='late')['InstanceId']
    control('times', late=0)
    assert third not in by_tag('pool', 'seen')
    refused('InvalidInstanceID.NotFound', ec2.describe_instances, InstanceIds=[third])
    refused('InvalidInstanceID.NotFound', ec2.terminate_instances, InstanceIds=[third])
    assert run(TagSpecifications=tagged({'pool': 'seen'}), ClientToken='late')['InstanceId'] == third, 'its token knows it'
    assert third in [i['id'] for i in control('instances')]
    control('terminate', id=third)
    ec2.terminate_instances(InstanceIds=[first, second])


def types_are_told_by_pages_of_a_hundred():
    pages = list(ec2.get_paginator('describe_instance_types').paginate())
    assert all(len(p['InstanceTypes']) == 100 for p in pages[:-1]) and len(pages) > 5, len(pages)
    refused('InvalidParameterValue', ec2.describe_instance_types, MaxResults=101)
    refused('InvalidInstanceType', ec2.describe_instance_types, InstanceTypes=['m5.tiny'])
    small = ec2.describe_instance_types(Filters=[
        {'Name': 'vcpu-info.default-vcpus', 'Values': ['2']}, {'Name': 'processor-info.supported-architecture', 'Values': ['x86_64']},
        {'Name': 'instance-type', 'Values': ['m5.*', 'm6g.*']}, {'Name': 'bare-metal', 'Values': ['false']}])['InstanceTypes']
    assert [t['InstanceType'] for t in small] == ['m5.large'], [t['InstanceType'] for t in small]
    gpu = ec2.describe_instance_types(InstanceTypes=['g4dn.xlarge'])['InstanceTypes'][0]['GpuInfo']['Gpus'][0]
    assert (gpu['Manufacturer'], gpu['Name'], gpu['Count']) == ('NVIDIA', 'T4', 1), gpu
    offered = ec2.describe_instance_type_offerings(
        LocationType='availability-zone', Filters=[{'Name': 'instance-type', 'Values': ['g6.xlarge']}])['InstanceTypeOfferings']
    assert sorted(o['Location'] for o in offered) == ['eu-west-3b', 'eu-west-3c'], offered


def images_are_found_by_owner_and_name():
    found = ec2.describe_images(Owners=['self'], Filters=[{'Name': 'name', 'Values': ['dirac-pilot-*']}])['Images']
    newest = max(found, key=lambda i: i['CreationDate'])
    assert len(found) == 2 and newest['ImageId'] == FACTS['images']['newer'], found
    image = ec2.describe_images(ImageIds=[FACTS['images']['arm']])['Images'][0]
    assert (image['Architecture'], image['State'], image['BlockDeviceMappings'][0]['Ebs']['VolumeSize']) == ('arm64', 'available', 8), image
    refused('InvalidAMIID.NotFound', ec2.describe_images, ImageIds=['ami-0123456789abcdef0'])
    made = control('image', name='dirac-big', architecture='x86_64', created='2026-11-20T08:00:00Z', size=40)
    refused('InvalidBlockDeviceMapping', run, ImageId=made, BlockDeviceMappings=[{'DeviceName': '/dev/xvda', 'Ebs': {'VolumeSize': 30}}])


def the_network_is_there():
    subnets = ec2.describe_subnets(Filters=[{'Name': 'vpc-id', 'Values': [FACTS['vpc']]}])['Subnets']
    assert sorted((s['SubnetId'], s['AvailabilityZone']) for s in subnets) == sorted(tuple(s) for s in FACTS['subnets']), subnets
    other = ec2.describe_subnets(SubnetIds=[FACTS['other_subnet']])['Subnets'][0]
    assert other['VpcId'] != FACTS['vpc'] and other['AvailableIpAddressCount'] == 251, other
    groups = ec2.describe_security_groups(GroupIds=[FACTS['security_group']])['SecurityGroups']
    assert groups[0]['VpcId'] == FACTS['vpc'], groups
    refused('InvalidSubnetID.NotFound', ec2.describe_subnets, SubnetIds=['subnet-0123456789abcdef0'])
    zones = [z['ZoneName'] for z in ec2.describe_availability_zones()['AvailabilityZones']]
    assert zones == ['eu-west-3a', 'eu-west-3b', 'eu-west-3c'], zones


main(lists_have_filters_and_pages, lists_are_late_and_partial_as_a_test_says, types_are_told_by_pages_of_a_hundred,
     images_are_found_by_owner_and_name, the_network_is_there)
