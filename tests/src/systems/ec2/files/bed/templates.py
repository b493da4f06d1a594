"""Launch templates and their versions."""
import base64
import binascii
import secrets
from datetime import datetime, timezone

from .launch import USER_DATA
from .lists import matches, page
from .wire import Refused


class Templates:
    def __init__(self):
        self.known = {}

    def find(self, spec):
        """A template by its id or name."""
        if spec.get('LaunchTemplateId'):
            found = self.known.get(spec['LaunchTemplateId'])
            if found is None:
                raise Refused('InvalidLaunchTemplateId.NotFound', 'The specified launch template, with template ID %s, does not exist.'
                              % spec['LaunchTemplateId'])
            return found
        name = spec.get('LaunchTemplateName')
        if not name:
            raise Refused('MissingParameter', 'Either the launch template id or the launch template name must be specified.')
        for template in self.known.values():
            if template['name'] == name:
                return template
        raise Refused('InvalidLaunchTemplateName.NotFoundException', 'The specified launch template, with template name %s, does not '
                      'exist.' % name)

    def version(self, spec):
        """A template, the number of the version that is meant, and what it says."""
        template = self.find(spec)
        wanted = str(spec.get('Version') or '$Default')
        there = {str(n + 1): version for n, version in enumerate(template['versions']) if version}
        number = {'$Default': str(template['default']), '$Latest': max(there, key=int)}.get(wanted, wanted)
        try:
            return template, int(number), there[number]['data']
        except KeyError:
            raise Refused('InvalidLaunchTemplateId.VersionNotFound', 'Could not find the specified version %s for the launch template with '
                          'ID %s.' % (wanted, template['id'])) from None

    def add(self, name, data):
        """A template that a person of the account made; its id."""
        made = self._create({'LaunchTemplateName': name, 'LaunchTemplateData': data}, {'arn': 'a person'})
        return made['LaunchTemplate']['LaunchTemplateId']

    def create_launch_template(self, stage, params, key):
        return stage.tokens.once('CreateLaunchTemplate', params, lambda: self._create(params, key))

    def _create(self, params, key):
        name = params.get('LaunchTemplateName') or ''
        if any(template['name'] == name for template in self.known.values()):
            raise Refused('InvalidLaunchTemplateName.AlreadyExistsException', 'Launch template name already in use.')
        data = _checked(params.get('LaunchTemplateData') or {})
        tags = {tag['Key']: tag.get('Value', '') for spec in params.get('TagSpecifications') or []
                if spec.get('ResourceType') == 'launch-template' for tag in spec.get('Tags', [])}
        template = {'id': 'lt-0' + secrets.token_hex(8), 'name': name, 'default': 1, 'tags': tags, 'by': key['arn'], 'versions': [],
                    'made': datetime.now(timezone.utc)}
        template['versions'].append(_version(data, params.get('VersionDescription')))
        self.known[template['id']] = template
        return {'LaunchTemplate': _shown(template)}

    def create_launch_template_version(self, stage, params, _key):
        def carry_out():
            template = self.find(params)
            data = params.get('LaunchTemplateData') or {}
            if params.get('SourceVersion'):
                data = {**self.version({'LaunchTemplateId': template['id'], 'Version': params['SourceVersion']})[2], **data}
            template['versions'].append(_version(_checked(data), params.get('VersionDescription')))
            return {'LaunchTemplateVersion': _shown_version(template, len(template['versions']))}
        return stage.tokens.once('CreateLaunchTemplateVersion', params, carry_out)

    def modify_launch_template(self, _stage, params, _key):
        template = self.find(params)
        template['default'] = self.version({'LaunchTemplateId': template['id'], 'Version': params.get('DefaultVersion')})[1]
        return {'LaunchTemplate': _shown(template)}

    def delete_launch_template(self, _stage, params, _key):
        template = self.find(params)
        del self.known[template['id']]
        return {'LaunchTemplate': _shown(template)}

    def delete_launch_template_versions(self, _stage, params, _key):
        """The default version stays; numbers are not given again."""
        template, gone, kept = self.find(params), [], []
        for wanted in params.get('Versions') or []:
            about = {'LaunchTemplateId': template['id'], 'LaunchTemplateName': template['name'], 'VersionNumber': int(wanted)}
            try:
                number = self.version({'LaunchTemplateId': template['id'], 'Version': wanted})[1]
            except Refused as refused:
                kept.append({**about, 'ResponseError': {'Code': 'launchTemplateVersionDoesNotExist', 'Message': refused.message}})
                continue
            if number == template['default']:
                raise Refused('InvalidLaunchTemplateId.VersionNotFound', 'The default version of a launch template cannot be deleted.')
            template['versions'][number - 1] = None
            gone.append(about)
        return {'SuccessfullyDeletedLaunchTemplateVersions': gone, 'UnsuccessfullyDeletedLaunchTemplateVersions': kept}

    def describe_launch_templates(self, _stage, params, _key):
        if params.get('LaunchTemplateIds'):
            found = [self.find({'LaunchTemplateId': name}) for name in params['LaunchTemplateIds']]
        elif params.get('LaunchTemplateNames'):
            found = [self.find({'LaunchTemplateName': name}) for name in params['LaunchTemplateNames']]
        else:
            found = list(self.known.values())
        found = [t for t in found if matches(params.get('Filters'), t['tags'], {'launch-template-name': [t['name']]})]
        shown, token = page(found, params, 200)
        return {'LaunchTemplates': [_shown(template) for template in shown], 'NextToken': token}

    def describe_launch_template_versions(self, _stage, params, _key):
        template = self.find(params)
        wanted = params.get('Versions') or [n + 1 for n, version in enumerate(template['versions']) if version]
        numbers = [self.version({'LaunchTemplateId': template['id'], 'Version': one})[1] for one in wanted]
        return {'LaunchTemplateVersions': [_shown_version(template, number) for number in numbers]}


def _checked(data):
    if not data:
        raise Refused('MissingParameter', 'The request must contain the parameter LaunchTemplateData')
    if data.get('UserData'):
        try:
            size = len(base64.b64decode(data['UserData'], validate=True))
        except (binascii.Error, ValueError):
            raise Refused('InvalidUserData.Malformed', 'Invalid BASE64 encoding of user data.') from None
        if size > USER_DATA:
            raise Refused('InvalidUserData.Malformed', 'User data is limited to %d bytes' % USER_DATA)
    return data


def _version(data, description):
    return {'data': data, 'description': description, 'made': datetime.now(timezone.utc)}


def _shown(template):
    return {'LaunchTemplateId': template['id'], 'LaunchTemplateName': template['name'], 'CreateTime': template['made'],
            'CreatedBy': template['by'], 'DefaultVersionNumber': template['default'], 'LatestVersionNumber': len(template['versions']),
            'Tags': [{'Key': name, 'Value': value} for name, value in template['tags'].items()]}


def _shown_version(template, number):
    version = template['versions'][number - 1]
    return {'LaunchTemplateId': template['id'], 'LaunchTemplateName': template['name'], 'VersionNumber': number,
            'VersionDescription': version['description'], 'CreateTime': version['made'], 'CreatedBy': template['by'],
            'DefaultVersion': number == template['default'], 'LaunchTemplateData': version['data']}
