"""What becomes of calls: who signs them, what is lost on the way, what is denied and what comes too fast."""
import json
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

from botocore.exceptions import ConnectionClosedError, HTTPClientError
from common import ENDPOINT, FACTS, IMAGE, SUBNETS, by_tag, client, control, ec2, main, one, refused, run, tagged, until


def mine(token):
    return [e['id'] for e in control('history') if e['what'] == 'launched' and e['client_token'] == token]


def lost(call):
    """Holds that a call gets no answer."""
    try:
        said = call()
    except (ConnectionClosedError, HTTPClientError):
        return
    raise AssertionError('there was an answer: %s' % said)


def keys_and_signatures_are_verified():
    sqs, sts = client('sqs', secret='x' * 40), client('sts', secret='x' * 40)
    refused('AuthFailure', client('ec2', key='AKIAAAAAAAAAAAAAAAAA').describe_instances, status=401)
    refused('AuthFailure', client('ec2', secret='x' * 40).describe_instances, status=401)
    refused('AuthFailure', client('ec2', token='of nobody').describe_instances, status=401)
    refused('SignatureDoesNotMatch', sts.get_caller_identity, status=403)
    refused('InvalidClientTokenId', client('sts', key='AKIAAAAAAAAAAAAAAAAA').get_caller_identity, status=403)
    refused('InvalidSignatureException', sqs.list_queues, status=403)
    request = urllib.request.Request(ENDPOINT, data=b'Action=DescribeInstances&Version=2016-11-15')
    try:
        urllib.request.urlopen(request)
        raise AssertionError('an unsigned call was answered')
    except urllib.error.HTTPError as error:
        assert error.code == 403 and b'MissingAuthenticationToken' in error.read()


def a_wrong_clock_is_told():
    control('clock', seconds=3600)
    refused('RequestExpired', ec2.describe_instances)
    refused('SignatureDoesNotMatch', client('sts').get_caller_identity, words='Signature expired')
    control('clock', seconds=-3600)
    refused('AuthFailure', ec2.describe_instances)
    refused('SignatureDoesNotMatch', client('sts').get_caller_identity, words='not yet current')
    control('clock', seconds=240)
    date = ec2.describe_instances()['ResponseMetadata']['HTTPHeaders']['date']
    assert 200 < parsedate_to_datetime(date).timestamp() - time.time() < 280, date
    control('clock', seconds=0)


def sessions_come_of_roles_and_end():
    sts = client('sts')
    assert sts.get_caller_identity()['Arn'].endswith('user/dirac')
    token = open(FACTS['web_identity_token']).read()
    by_web = sts.assume_role_with_web_identity(RoleArn=FACTS['role_arn'], RoleSessionName='tests', WebIdentityToken=token)
    by_key = sts.assume_role(RoleArn=FACTS['role_arn'], RoleSessionName='tests', DurationSeconds=900)
    for said in (by_web, by_key):
        keys = said['Credentials']
        session = [keys['AccessKeyId'], keys['SecretAccessKey'], keys['SessionToken']]
        assert 800 < keys['Expiration'].timestamp() - time.time() < 3700, keys
        assert client('sts', *session).get_caller_identity()['Arn'].endswith(':assumed-role/dirac-operator/tests')
        client('ec2', *session).describe_instances()
        refused('AuthFailure', client('ec2', *session[:2]).describe_instances, status=401)
    named = dict(RoleSessionName='tests', RoleArn=FACTS['role_arn'])
    refused('InvalidIdentityToken', sts.assume_role_with_web_identity, **named, WebIdentityToken='a.b.c')
    other = {**named, 'RoleArn': FACTS['role_arn'] + 'x'}
    refused('AccessDenied', sts.assume_role_with_web_identity, **other, WebIdentityToken=token)
    pod = control('container-credentials')
    assert client('sts', pod['AccessKeyId'], pod['SecretAccessKey'], pod['Token']).get_caller_identity()['Arn'].endswith('/pod')
    control('expire-token')
    refused('RequestExpired', client('ec2', *session).describe_instances)
    refused('ExpiredToken', client('sts', *session).get_caller_identity)
    refused('ExpiredTokenException', client('sqs', *session).list_queues)


def a_reply_is_lost_and_the_token_finds_what_came_of_it():
    control('lose', losses=[{'kind': 'reply'}, {'kind': 'request'}])
    lost(lambda: run(ClientToken='lost', TagSpecifications=tagged({'pool': 'lost'})))
    assert len(mine('lost')) == 1 and by_tag('pool', 'lost') == mine('lost')
    ec2.describe_instances()
    lost(lambda: run(ClientToken='never'))
    assert mine('never') == [] and control('losses-left') == 0
    again = run(ClientToken='lost', TagSpecifications=tagged({'pool': 'lost'}))
    assert [again['InstanceId']] == mine('lost'), 'one token, one instance'


def an_order_is_carried_out_late():
    before = control('late-done')
    control('lose', losses=[{'kind': 'late', 'seconds': 0.5}])
    lost(lambda: run(ClientToken='late-order'))
    until('it is carried out', lambda: control('late-done') == before + 1)
    assert len(mine('late-order')) == 1


def calls_are_answered_as_a_test_says_or_never():
    control('lose', losses=[{'kind': 'answer', 'status': 500, 'code': 'InternalError', 'message': 'An internal error has occurred'}])
    refused('InternalError', run, status=500, ClientToken='answered')
    assert mine('answered') == []
    control('always', loss={'kind': 'answer', 'status': 503, 'code': 'Unavailable', 'message': 'The service is unavailable'})
    refused('Unavailable', ec2.describe_instances, status=503)
    control('always', loss={'kind': 'hang'})
    impatient = client('ec2')
    impatient.meta.config.read_timeout = 1
    request = urllib.request.Request(ENDPOINT, data=b'Action=DescribeInstances&Version=2016-11-15')
    try:
        urllib.request.urlopen(request, timeout=0.5)
        raise AssertionError('a call that hangs was answered')
    except (TimeoutError, urllib.error.URLError):
        pass
    control('always', loss=None)
    ec2.describe_instances()


def rights_are_taken_and_given_back():
    control('deny', action='ec2:CreateTags')
    said = refused('UnauthorizedOperation', run, status=403, TagSpecifications=tagged({'a': 'b'}))
    assert 'Encoded authorization failure message: ' in said and 'ec2:CreateTags' in said, said
    made = run()
    control('deny', action='TerminateInstances')
    refused('UnauthorizedOperation', ec2.terminate_instances, InstanceIds=[made['InstanceId']])
    control('deny', action='ssm:GetParameter')
    refused('AccessDeniedException', client('ssm').get_parameter, Name='/dirac/pilot/image')
    control('relent')
    ec2.terminate_instances(InstanceIds=[made['InstanceId']])
    rights = control('rights')
    assert rights['ec2:CreateTags'] > 0 and 'ec2:RunInstances' in rights, rights
    before = control('calls').get('ec2:DescribeInstances', 0)
    ec2.describe_instances()
    assert control('calls')['ec2:DescribeInstances'] == before + 1


def too_many_requests_are_refused():
    control('rate', action='DescribeInstances', burst=2, per_second=0.001)
    ec2.describe_instances()
    ec2.describe_instances()
    refused('RequestLimitExceeded', ec2.describe_instances, status=503)
    ec2.describe_subnets()


def an_image_is_named_by_a_parameter():
    found = client('ssm').get_parameter(Name='/dirac/pilot/image')['Parameter']['Value']
    assert found == FACTS['images']['default']
    refused('ParameterNotFound', client('ssm').get_parameter, Name='/dirac/nothing')
    made = run(ImageId='resolve:ssm:/dirac/pilot/image')
    assert made['ImageId'] == found, made
    ec2.terminate_instances(InstanceIds=[made['InstanceId']])


def notices_come_through_the_queue():
    sqs = client('sqs')
    spot = {'MarketType': 'spot', 'SpotOptions': {'SpotInstanceType': 'one-time'}}
    ids = [run(InstanceMarketOptions=spot)['InstanceId'] for _ in range(3)]
    control('rebalance', id=ids[0])
    taken = control('storm', part=0.67, notice=0.2)
    assert len(taken) == 2, taken
    seen = {}
    while len(seen) < 3:
        for message in sqs.receive_message(QueueUrl=FACTS['queue_url'], MaxNumberOfMessages=10, WaitTimeSeconds=5).get('Messages', []):
            event = json.loads(message['Body'])
            seen[event['detail-type'], event['detail']['instance-id']] = event
            sqs.delete_message(QueueUrl=FACTS['queue_url'], ReceiptHandle=message['ReceiptHandle'])
    assert ('EC2 Instance Rebalance Recommendation', ids[0]) in seen, seen
    for id in taken:
        event = seen['EC2 Spot Instance Interruption Warning', id]
        assert event['source'] == 'aws.ec2' and event['detail']['instance-action'] == 'terminate' and id in event['resources'][0], event
    until('they are reclaimed', lambda: all(
        i['reason'] == 'Server.SpotInstanceTermination' for i in control('instances') if i['id'] in taken))
    assert 'Messages' not in sqs.receive_message(QueueUrl=FACTS['queue_url'])
    ec2.terminate_instances(InstanceIds=ids)


def spot_instances_are_taken_back_at_random():
    spot = {'MarketType': 'spot', 'SpotOptions': {'SpotInstanceType': 'one-time'}}

    def bought(kind, count, **more):
        asked = dict(ImageId=IMAGE, InstanceType=kind, SubnetId=SUBNETS[0], MinCount=count, MaxCount=count)
        return [made['InstanceId'] for made in ec2.run_instances(**{**asked, **more})['Instances']]

    def rates(per_hour):
        return [{'type': 'c5.large', 'zone': 'eu-west-3a', 'per_hour': per_hour}, {'type': 'm5.*', 'zone': '*', 'per_hour': per_hour / 10}]

    many, few = bought('c5.large', 40, InstanceMarketOptions=spot), bought('m5.large', 20, InstanceMarketOptions=spot)
    others = bought('c5.xlarge', 1, InstanceMarketOptions=spot) + bought('c5.large', 1)
    assert control('reclaims-to-come') == {}, 'nothing happens by itself'

    def drawn(seed, per_hour):
        control('reclaim-at-random', seed=seed, rates=rates(per_hour), notice=0)
        said = control('reclaims-to-come')
        # Nearer than a clock that counts from 1970 tells.
        return {id: round(said[id], 3) for id in said}

    first = drawn(1, 1)
    assert sorted(first) == sorted(many + few), 'neither what is on demand nor what no rate is said of'
    mean = {word: sum(first[id] for id in ids) / len(ids) for word, ids in (('many', many), ('few', few))}
    assert 2400 < mean['many'] < 5400 and 24000 < mean['few'] < 54000, 'an hour, and ten: %s' % mean
    assert drawn(2, 1) != first, 'another seed is another weather'
    assert drawn(1, 1) == first, 'the same seed is the same'
    later = bought('c5.large', 1, InstanceMarketOptions=spot)[0]
    assert later in control('reclaims-to-come'), 'who comes later is drawn too'

    def ended():
        return [e['id'] for e in control('history')
                if e['id'] in many and (e['what'], e['reason']) == ('shutting-down', 'Server.SpotInstanceTermination')]

    # Three thousand times as often, in the same order.
    control('reclaim-at-random', seed=1, rates=rates(3000), notice=0.1)
    until('six are taken back', lambda: len(ended()) > 5)
    assert ended()[:6] == sorted(many, key=first.get)[:6]
    warned = client('sqs').receive_message(QueueUrl=FACTS['queue_url'], MaxNumberOfMessages=10)['Messages']
    assert json.loads(warned[0]['Body'])['detail-type'] == 'EC2 Spot Instance Interruption Warning', warned
    control('reclaim-at-random', seed=1, rates=[], notice=0)
    assert control('reclaims-to-come') == {}
    # A busy machine may not have started them yet.
    assert all(one(id)['State']['Name'] in ('pending', 'running') for id in others)
    ec2.terminate_instances(InstanceIds=many + few + others + [later])


main(keys_and_signatures_are_verified, a_wrong_clock_is_told, sessions_come_of_roles_and_end,
     a_reply_is_lost_and_the_token_finds_what_came_of_it, an_order_is_carried_out_late, calls_are_answered_as_a_test_says_or_never,
     rights_are_taken_and_given_back, too_many_requests_are_refused, an_image_is_named_by_a_parameter, notices_come_through_the_queue,
     spot_instances_are_taken_back_at_random)
