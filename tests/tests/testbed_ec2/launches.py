"""RunInstances: what an instance is, what is refused, tokens, states, ends."""
import base64

from common import FACTS, IMAGE, SUBNETS, by_tag, client, control, ec2, in_state, main, one, refused, run, tagged, template, until


def an_instance_has_what_was_asked_for_and_runs_after_a_while():
    user_data = b'\x1f\x8bnot text'
    made = run(
        UserData=user_data, SecurityGroupIds=[FACTS['security_group']], InstanceInitiatedShutdownBehavior='terminate',
        MetadataOptions={'HttpTokens': 'required', 'HttpPutResponseHopLimit': 1, 'InstanceMetadataTags': 'enabled'},
        BlockDeviceMappings=[{'DeviceName': '/dev/xvda', 'Ebs': {'VolumeSize': 20, 'Encrypted': True, 'DeleteOnTermination': True}}],
        TagSpecifications=tagged({'pool': 'p'}) + tagged({'pool': 'v'}, 'volume') + tagged({'pool': 'n'}, 'network-interface'))
    id = made['InstanceId']
    assert made['State']['Name'] == 'pending' and made['Tags'] == [{'Key': 'pool', 'Value': 'p'}], made
    found = in_state(id, 'running')
    assert found['Placement']['AvailabilityZone'] == 'eu-west-3a' and found['PrivateIpAddress'].startswith('10.80.'), found
    assert found['MetadataOptions']['HttpTokens'] == 'required' and found['SecurityGroups'][0]['GroupId'] == FACTS['security_group']
    assert 'InstanceLifecycle' not in found and 'StateReason' not in found, found
    volume = ec2.describe_volumes(Filters=[{'Name': 'attachment.instance-id', 'Values': [id]}])['Volumes'][0]
    assert volume['Encrypted'] and volume['Size'] == 20 and volume['Tags'] == [{'Key': 'pool', 'Value': 'v'}], volume
    said = ec2.describe_instance_attribute(InstanceId=id, Attribute='userData')['UserData']['Value']
    assert base64.b64decode(said) == user_data
    kept = next(i for i in control('instances') if i['id'] == id)
    assert kept['interface_tags'] == {'pool': 'n'} and kept['encrypted'] and kept['hop_limit'] == 1, kept

    gone = ec2.terminate_instances(InstanceIds=[id])['TerminatingInstances'][0]
    assert (gone['PreviousState']['Name'], gone['CurrentState']['Name']) == ('running', 'shutting-down'), gone
    found = in_state(id, 'terminated')
    assert found['StateReason']['Code'] == 'Client.UserInitiatedShutdown', found
    assert found['StateTransitionReason'].startswith('User initiated ('), found
    assert 'SubnetId' not in found and found['NetworkInterfaces'] == [] and found['Tags'], found
    assert not ec2.describe_volumes(VolumeIds=[volume['VolumeId']])['Volumes'], 'the volume goes with its instance'
    ec2.terminate_instances(InstanceIds=[id])


def what_is_wrong_is_refused_in_the_words_of_aws():
    refused('InvalidAMIID.NotFound', run, ImageId='ami-0123456789abcdef0')
    refused('InvalidAMIID.Malformed', run, ImageId='image')
    refused('InvalidParameterValue', run, InstanceType='m5.tiny', words="Invalid value 'm5.tiny' for InstanceType")
    refused('InvalidParameterValue', run, ImageId=FACTS['images']['arm'], words="does not match the architecture 'arm64'")
    refused('InvalidSubnetID.NotFound', run, SubnetId='subnet-0123456789abcdef0')
    refused('InvalidParameter', run, SubnetId=FACTS['other_subnet'], SecurityGroupIds=[FACTS['security_group']], words='different networks')
    refused('InvalidGroup.NotFound', run, SecurityGroupIds=['sg-0123456789abcdef0'])
    refused('Unsupported', run, InstanceType='g6.xlarge', words='choosing eu-west-3b, eu-west-3c')
    refused('InvalidParameterValue', run, UserData='x' * 16385, words='limited to 16384 bytes')
    refused('InvalidBlockDeviceMapping', run, BlockDeviceMappings=[{'DeviceName': '/dev/xvda', 'Ebs': {'VolumeSize': 4}}])
    refused('InvalidParameterValue', run, MinCount=2, MaxCount=1)
    refused('DryRunOperation', run, DryRun=True, status=412)
    refused('InvalidAMIID.NotFound', run, DryRun=True, ImageId='ami-0123456789abcdef0')
    refused('InvalidInstanceID.NotFound', ec2.terminate_instances, InstanceIds=['i-0123456789abcdef0'])
    refused('InvalidInstanceID.Malformed', ec2.describe_instances, InstanceIds=['i-xyz'])


def one_token_is_one_instance():
    token = 'token-of-one'
    first = run(ClientToken=token, UserData='a')
    again = run(ClientToken=token, UserData='a')
    assert first['InstanceId'] == again['InstanceId'], (first, again)
    refused('IdempotentParameterMismatch', run, ClientToken=token, UserData='b')
    ec2.terminate_instances(InstanceIds=[first['InstanceId']])
    refused('IdempotentInstanceTerminated', run, ClientToken=token, UserData='a')
    refused('InvalidParameterValue', run, ClientToken='x' * 65)
    # A request that was refused leaves its token free.
    control('capacity', type='m5.large', zone='eu-west-3a', purchase='on-demand', left=0)
    refused('InsufficientInstanceCapacity', run, ClientToken='token-of-two', status=500)
    control('capacity', type='m5.large', zone='eu-west-3a', purchase='on-demand', left=None)
    made = run(ClientToken='token-of-two')
    ec2.terminate_instances(InstanceIds=[made['InstanceId']])


def there_is_room_for_so_many():
    control('capacity', type='m5.*', zone='eu-west-3a', purchase='on-demand', left=3)
    made = ec2.run_instances(ImageId=IMAGE, InstanceType='m5.large', SubnetId=SUBNETS[0], MinCount=2, MaxCount=5)['Instances']
    assert len(made) == 3, 'as many as there is room for'
    said = refused('InsufficientInstanceCapacity', run, status=500)
    assert 'eu-west-3b, eu-west-3c' in said, said
    ec2.terminate_instances(InstanceIds=[made[0]['InstanceId']])
    made.append(run())
    control('capacity', type='m5.*', zone='eu-west-3a', purchase='on-demand', left=None)

    control('free-addresses', subnet=SUBNETS[1], count=1)
    before = ec2.describe_subnets(SubnetIds=[SUBNETS[1]])['Subnets'][0]['AvailableIpAddressCount']
    made.append(run(SubnetId=SUBNETS[1]))
    after = ec2.describe_subnets(SubnetIds=[SUBNETS[1]])['Subnets'][0]['AvailableIpAddressCount']
    assert (before, after) == (1, 0), (before, after)
    refused('InsufficientFreeAddressesInSubnet', run, SubnetId=SUBNETS[1], words=SUBNETS[1])
    control('free-addresses', subnet=SUBNETS[1], count=100)
    ids = [i['InstanceId'] for i in made]
    gone = ec2.terminate_instances(InstanceIds=ids)['TerminatingInstances']
    assert len(gone) == len(ids)
    for id in ids:
        in_state(id, 'terminated')


def quotas_are_in_cores_and_of_classes():
    quotas = client('service-quotas')
    codes = {q['QuotaCode']: q['Value'] for q in quotas.list_service_quotas(ServiceCode='ec2')['Quotas']}
    assert codes['L-1216C47A'] == 640.0 and 'L-3819A6DF' in codes, codes
    refused('NoSuchResourceException', quotas.get_service_quota, ServiceCode='ec2', QuotaCode='L-00000000')
    control('vcpus', code='L-1216C47A', value=2)
    control('vcpus', code='L-34B43A08', value=0)
    assert quotas.get_service_quota(ServiceCode='ec2', QuotaCode='L-1216C47A')['Quota']['Value'] == 2.0
    first = run()
    refused('VcpuLimitExceeded', run, words='current vCPU limit of 2 allows')
    refused('MaxSpotInstanceCountExceeded', run, InstanceMarketOptions={'MarketType': 'spot'})
    other = run(InstanceType='g4dn.xlarge')
    ids = [first['InstanceId'], other['InstanceId']]
    ec2.terminate_instances(InstanceIds=ids)
    run_again = run()
    ec2.terminate_instances(InstanceIds=[run_again['InstanceId']])
    control('vcpus', code='L-1216C47A', value=None)
    control('vcpus', code='L-34B43A08', value=None)


def a_template_says_what_the_call_does_not():
    encoded = base64.b64encode(b'of the template').decode()
    name = template(UserData=encoded, TagSpecifications=tagged({'a': 't', 'b': 't'}),
                    NetworkInterfaces=[{'DeviceIndex': 0, 'SubnetId': SUBNETS[2], 'Groups': [FACTS['security_group']]}])
    made = ec2.run_instances(LaunchTemplate={'LaunchTemplateId': name}, MinCount=1, MaxCount=1, InstanceType='c5.large',
                             TagSpecifications=tagged({'b': 'c'}))['Instances'][0]
    tags = {tag['Key']: tag['Value'] for tag in made['Tags']}
    assert (tags['a'], tags['b'], tags['aws:ec2launchtemplate:id']) == ('t', 'c', name), tags
    assert (made['InstanceType'], made['Placement']['AvailabilityZone']) == ('c5.large', 'eu-west-3c'), made
    assert by_tag('aws:ec2launchtemplate:id', name) == [made['InstanceId']]
    again = dict(LaunchTemplateName='named', LaunchTemplateData={'InstanceType': 'c5.large'}, ClientToken='template')
    first, second = ec2.create_launch_template(**again), ec2.create_launch_template(**again)
    assert first['LaunchTemplate']['LaunchTemplateId'] == second['LaunchTemplate']['LaunchTemplateId']
    refused('InvalidLaunchTemplateName.AlreadyExistsException', ec2.create_launch_template, **{**again, 'ClientToken': 'another'})
    refused('InvalidLaunchTemplateId.NotFound', ec2.run_instances, LaunchTemplate={'LaunchTemplateId': 'lt-0123456789abcdef0'},
            MinCount=1, MaxCount=1)
    refused('InvalidUserData.Malformed', template, UserData=base64.b64encode(b'x' * 16385).decode())
    version = ec2.create_launch_template_version(LaunchTemplateName='named', LaunchTemplateData={'InstanceType': 'c5.xlarge'})
    assert version['LaunchTemplateVersion']['VersionNumber'] == 2
    found = ec2.describe_launch_template_versions(LaunchTemplateName='named', Versions=['$Latest'])['LaunchTemplateVersions']
    assert found[0]['LaunchTemplateData']['InstanceType'] == 'c5.xlarge', found
    assert run(LaunchTemplate={'LaunchTemplateName': 'named', 'Version': '$Latest'})['InstanceType'] == 'm5.large', 'the call goes first'
    deleted = ec2.delete_launch_template_versions(LaunchTemplateName='named', Versions=['2', '7'])
    assert [v['VersionNumber'] for v in deleted['SuccessfullyDeletedLaunchTemplateVersions']] == [2], deleted
    assert [v['VersionNumber'] for v in deleted['UnsuccessfullyDeletedLaunchTemplateVersions']] == [7], deleted
    refused('InvalidLaunchTemplateId.VersionNotFound', run, LaunchTemplate={'LaunchTemplateName': 'named', 'Version': '2'})
    version = ec2.create_launch_template_version(LaunchTemplateName='named', LaunchTemplateData={'InstanceType': 'c5.xlarge'})
    assert version['LaunchTemplateVersion']['VersionNumber'] == 3, version
    ec2.delete_launch_template(LaunchTemplateName='named')
    refused('InvalidLaunchTemplateName.NotFoundException', ec2.describe_launch_templates, LaunchTemplateNames=['named'])
    ec2.terminate_instances(InstanceIds=[made['InstanceId']])


def ends_say_why():
    spot = {'MarketType': 'spot', 'SpotOptions': {'SpotInstanceType': 'one-time', 'InstanceInterruptionBehavior': 'terminate'}}
    halted, stopped, failed, reclaimed = (
        run(InstanceInitiatedShutdownBehavior='terminate')['InstanceId'], run()['InstanceId'], run()['InstanceId'],
        run(InstanceMarketOptions=spot)['InstanceId'])
    assert one(reclaimed)['InstanceLifecycle'] == 'spot' and one(reclaimed)['SpotInstanceRequestId'].startswith('sir-')
    control('power-off', id=halted)
    control('power-off', id=stopped)
    control('fail', id=failed, code='Client.VolumeLimitExceeded')
    control('reclaim', id=reclaimed, notice=0.1)
    wanted = {halted: ('terminated', 'Client.InstanceInitiatedShutdown'), stopped: ('stopped', 'Client.InstanceInitiatedShutdown'),
              failed: ('terminated', 'Client.VolumeLimitExceeded'), reclaimed: ('terminated', 'Server.SpotInstanceTermination')}
    for id, (state, code) in wanted.items():
        assert in_state(id, state)['StateReason']['Code'] == code, one(id)
    ec2.start_instances(InstanceIds=[stopped])
    assert 'StateReason' not in in_state(stopped, 'running')
    ec2.terminate_instances(InstanceIds=[stopped])
    # What is terminated is seen for a while, and then nobody knows it.
    in_state(stopped, 'terminated')
    control('times', forget=0)
    until('it is forgotten', lambda: all(i['id'] != stopped for i in control('instances')))
    refused('InvalidInstanceID.NotFound', ec2.describe_instances, InstanceIds=[stopped])
    control('times', forget=3600)
    whats = [event['what'] for event in control('history') if event['id'] == halted]
    assert whats[0] == 'launched' and whats[-2:] == ['shutting-down', 'terminated'], whats


main(an_instance_has_what_was_asked_for_and_runs_after_a_while, what_is_wrong_is_refused_in_the_words_of_aws, one_token_is_one_instance,
     there_is_room_for_so_many, quotas_are_in_cores_and_of_classes, a_template_says_what_the_call_does_not, ends_say_why)
