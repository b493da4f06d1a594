"""seed.py KEYSTONE PASSWORD SERVICES identity|rest: fills a fresh OpenStack. SERVICES is JSON: the address of each."""
import json
import sys

import requests

keystone, password, at, stage = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
session = requests.Session()


def call(method, url, body=None, **extra):
    answer = session.request(method, url, json=body, **extra)
    if not answer.ok:
        sys.exit('%s %s: %s %s' % (method, url, answer.status_code, answer.text[:400]))
    return answer


answer = call('POST', keystone + '/auth/tokens', {'auth': {
    'identity': {'methods': ['password'], 'password': {'user': {'name': 'admin', 'domain': {'id': 'default'}, 'password': password}}},
    'scope': {'project': {'name': 'admin', 'domain': {'id': 'default'}}}}})
session.headers['X-Auth-Token'] = answer.headers['X-Subject-Token']


def make(collection, kind, **body):
    return call('POST', '%s/%s' % (keystone, collection), {kind: body}).json()[kind]['id']


def grant(project, user, role):
    call('PUT', '%s/projects/%s/users/%s/roles/%s' % (keystone, project, user, role))


def identity():
    roles = {r['name']: r['id'] for r in call('GET', keystone + '/roles').json()['roles']}
    if 'service' not in roles:
        roles['service'] = make('roles', 'role', name='service')
    projects = {name: make('projects', 'project', name=name, domain_id='default')
                for name in ('service', 'vo.example.org', 'tiny-quota')}
    for name in ('nova', 'placement', 'glance', 'neutron'):
        user = make('users', 'user', name=name, password=password, domain_id='default')
        for role in ('admin', 'service'):
            grant(projects['service'], user, roles[role])
    dirac = make('users', 'user', name='dirac', password=password, domain_id='default')
    for name in ('vo.example.org', 'tiny-quota'):
        grant(projects[name], dirac, roles['member'])
    admin = call('GET', keystone + '/users', params={'name': 'admin'}).json()['users'][0]['id']
    for name in ('vo.example.org', 'tiny-quota'):
        grant(projects[name], admin, roles['admin'])
    for kind, name, url in (('compute', 'nova', at['nova'] + '/v2.1'), ('image', 'glance', at['glance']),
                            ('network', 'neutron', at['neutron']), ('placement', 'placement', at['placement'])):
        service = make('services', 'service', type=kind, name=name)
        for interface in ('public', 'internal', 'admin'):
            make('endpoints', 'endpoint', service_id=service, interface=interface, region_id='RegionOne', url=url)


def rest():
    nova, neutron, glance = at['nova'] + '/v2.1', at['neutron'] + '/v2.0', at['glance'] + '/v2'
    projects = {p['name']: p['id'] for p in call('GET', keystone + '/projects').json()['projects']}
    image = call('POST', glance + '/images', {
        'name': 'EL9-pilot', 'disk_format': 'raw', 'container_format': 'bare', 'visibility': 'public'}).json()['id']
    call('PUT', '%s/images/%s/file' % (glance, image), data=b'\0' * 65536, headers={'Content-Type': 'application/octet-stream'})
    for name, vcpus, ram, specs in (('m1.tiny', 1, 512, {}), ('m1.medium', 4, 8192, {}), ('m1.large', 8, 16384, {}),
                                    ('m1.impossible', 512, 4096, {}), ('g1.vgpu', 8, 32768, {'resources:VGPU': '1'})):
        call('POST', nova + '/flavors', {'flavor': {'name': name, 'vcpus': vcpus, 'ram': ram, 'disk': 1, 'id': 'id-of-' + name}})
        if specs:
            call('POST', '%s/flavors/id-of-%s/os-extra_specs' % (nova, name), {'extra_specs': specs})
    for name, quota in (('vo.example.org', (100000, 1000000, 500000000)), ('tiny-quota', (2, 4, 8192))):
        call('PUT', '%s/os-quota-sets/%s' % (nova, projects[name]),
             {'quota_set': dict(zip(('instances', 'cores', 'ram'), quota))})
    for number, (name, shared) in enumerate((('private', True), ('other', True))):
        network = call('POST', neutron + '/networks', {'network': {'name': name, 'shared': shared}}).json()['network']['id']
        call('POST', neutron + '/subnets', {'subnet': {
            'network_id': network, 'ip_version': 4, 'cidr': '10.%d.0.0/16' % (64 + number), 'enable_dhcp': False}})


{'identity': identity, 'rest': rest}[stage]()
