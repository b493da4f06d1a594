"""What is done with instances: RunInstances, their ends, their tags, their console."""
import base64
from datetime import datetime, timezone

from . import launch
from .book import CODES
from .lists import find, reservation
from .wire import Refused


def wish(stage, params):
    """What RunInstances asks for, and the tags that EC2 itself gives."""
    own = {name: value for name, value in params.items() if name not in ('LaunchTemplate', 'MinCount', 'MaxCount', 'ClientToken', 'DryRun')}
    if not params.get('LaunchTemplate'):
        return launch.read(stage, launch.merge({}, own)), {}
    template, number, data = stage.templates.version(params['LaunchTemplate'])
    system = {'aws:ec2launchtemplate:id': template['id'], 'aws:ec2launchtemplate:version': str(number)}
    return launch.read(stage, launch.merge(data, own)), system


def run_instances(stage, params, _key):
    lowest, highest = int(params.get('MinCount', 1)), int(params.get('MaxCount', 1))
    if lowest < 1 or highest < lowest:
        raise Refused('InvalidParameterValue', 'Value (%d) for parameter minCount is invalid. It must be at least 1, and not above '
                      'maxCount (%d).'
                      % (lowest, highest))

    def carry_out():
        asked, system = wish(stage, params)
        # As many as there is room for, but no fewer than the least.
        count = highest
        while True:
            try:
                launch.room(stage, 'RunInstances', asked, count)
                break
            except Refused:
                if count == lowest:
                    raise
                count -= 1
        return [one.id for one in launch.make(stage, asked, count, params.get('ClientToken'), system)]

    ids = stage.tokens.once('RunInstances', params, carry_out)
    group = [stage.book.instances[name] for name in ids if name in stage.book.instances]
    if not group or all(one.state in ('shutting-down', 'terminated') for one in group):
        raise Refused('IdempotentInstanceTerminated', 'The request to launch an instance uses the same client token as a previous request '
                      'for which the instance has been terminated.')
    return reservation(stage, group)


def _ended(stage, params, reason, state):
    """States before and after, as every action that ends instances answers."""
    changes = []
    for one in find(stage, params.get('InstanceIds') or []):
        before = one.state
        if state == 'shutting-down' or one.state in ('pending', 'running'):
            stage.book.ends(one, reason, state)
        changes.append({'InstanceId': one.id, 'PreviousState': {'Code': CODES[before], 'Name': before},
                        'CurrentState': {'Code': CODES[one.state], 'Name': one.state}})
    return changes


def terminate_instances(stage, params, _key):
    ids = params.get('InstanceIds') or []
    if not ids:
        raise Refused('MissingParameter', 'The request must contain the parameter InstanceId')
    if len(ids) > 1000:
        raise Refused('InvalidParameterValue', 'The request has more than 1000 instances.')
    for one in find(stage, ids):
        if one.protected:
            raise Refused('OperationNotPermitted', "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance "
                          'attribute and try again.' % one.id)
    return {'TerminatingInstances': _ended(stage, params, 'Client.UserInitiatedShutdown', 'shutting-down')}


def stop_instances(stage, params, _key):
    for one in find(stage, params.get('InstanceIds') or []):
        if one.purchase == 'spot':
            raise Refused('UnsupportedOperation', "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot "
                          "Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests." % one.id)
    return {'StoppingInstances': _ended(stage, params, 'Client.UserInitiatedShutdown', 'stopping')}


def start_instances(stage, params, _key):
    changes = []
    for one in find(stage, params.get('InstanceIds') or []):
        if one.state not in ('stopped', 'pending', 'running'):
            raise Refused('IncorrectInstanceState', "The instance '%s' is not in a state from which it can be started." % one.id)
        before = one.state
        if before == 'stopped':
            one.reason, one.transition = None, ''
            stage.book.enter(one, 'pending')
        changes.append({'InstanceId': one.id, 'PreviousState': {'Code': CODES[before], 'Name': before},
                        'CurrentState': {'Code': CODES[one.state], 'Name': one.state}})
    return {'StartingInstances': changes}


def get_console_output(stage, params, _key):
    """What the guest wrote. Without `Latest` it is what was there when the guest began to run; `Latest` is for Nitro only."""
    one = find(stage, [params.get('InstanceId', '')])[0]
    latest = str(params.get('Latest', 'false')).lower() == 'true'
    if latest and stage.capacity.types[one.type].get('Hypervisor') != 'nitro':
        raise Refused('UnsupportedOperation', 'This instance type does not support retrieving the latest console logs. You must use an '
                      'instance type based on the Nitro System.')
    text = stage.guests.console(one, latest)
    # The most recent 64 KB are kept.
    return {'InstanceId': one.id, 'Output': base64.b64encode(text[-65536:]).decode() if text else None,
            'Timestamp': datetime.now(timezone.utc)}


def describe_instance_attribute(stage, params, _key):
    one = find(stage, [params.get('InstanceId', '')])[0]
    name = params.get('Attribute')
    values = {
        'userData': ('UserData', {'Value': base64.b64encode(one.user_data).decode()} if one.user_data else {}),
        'instanceType': ('InstanceType', {'Value': one.type}),
        'instanceInitiatedShutdownBehavior': ('InstanceInitiatedShutdownBehavior', {'Value': one.on_shutdown}),
        'disableApiTermination': ('DisableApiTermination', {'Value': one.protected}),
        'rootDeviceName': ('RootDeviceName', {'Value': one.root['device']}),
    }
    if name not in values:
        raise Refused('InvalidParameterValue', 'Value (%s) for parameter attribute is invalid. Unknown attribute.' % name)
    return {'InstanceId': one.id, values[name][0]: values[name][1]}


def _tagged(stage, name):
    """The tags of something that is ours; None: it is moto's."""
    for one in stage.book.seen(listing=False):
        for own, tags in ((one.id, one.tags), (one.root['id'], one.volume_tags), (one.interface, one.interface_tags)):
            if own == name:
                return tags
    template = stage.templates.known.get(name)
    return template and template['tags']


def change_tags(stage, params, _key, forward):
    """CreateTags and DeleteTags of instances, volumes, interfaces and templates; other resources are moto's, and `forward` asks it."""
    ours = {name: _tagged(stage, name) for name in params.get('Resources') or []}
    if all(tags is None for tags in ours.values()):
        for name in ours:
            if name.startswith('i-'):
                find(stage, [name])
        return forward()
    for tags in ours.values():
        for tag in params.get('Tags') or []:
            if tag['Key'].startswith('aws:'):
                raise Refused('InvalidParameterValue', 'Tag keys starting with "aws:" are reserved for internal use')
            if params['deletes']:
                tags.pop(tag['Key'], None)
            else:
                tags[tag['Key']] = tag.get('Value', '')
    return {}
