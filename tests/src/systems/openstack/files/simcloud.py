"""A hypervisor for Nova whose guests really run: a subclass of Nova's FakeDriver with many nodes.

A guest is `guest.py` in namespaces of its own: it applies the user-data and stays up until something in it powers it off. Then
the instance becomes SHUTOFF at once, by a life-cycle event, as with a real hypervisor. Its output is the console log.

How a guest comes by its user-data: a server with a config drive has a real one, an ISO image that Nova's own code makes. A server
without one has what a metadata service would serve, in a file that stands in for the service; where the testbed has none (a file
`no-metadata` in its state), there is no such file, and the guest comes up with nothing to do.
Metadata of a server asks for faults: `sim_fail=text` fails the boot, `sim_boot_seconds=n` slows it.
"""
import base64
import json
import os
import subprocess
import sys
import time

import eventlet
import os_resource_classes as orc
from guest import command
from nova import exception
from nova.api.metadata import base as instance_metadata
from nova.compute import power_state
from nova.virt import configdrive
from nova.virt import event as virtevent
from nova.virt import fake

STATE = os.environ['SIM_STATE']


class SimDriver(fake.FakeDriver):
    def init_host(self, host):
        self._host = host
        self._guests = {}
        self._res = {}
        for spec in os.environ['SIM_NODES'].split():
            prefix, count, vcpus, mib, gib, gpus = spec.split(':')
            for k in range(1, int(count) + 1):
                self._res['%s-%03d' % (prefix, k)] = dict(
                    vcpus=int(vcpus), memory_mb=int(mib), local_gb=int(gib), gpus=int(gpus))
        self._nodes = sorted(self._res)

    def get_available_resource(self, nodename):
        found = super().get_available_resource(nodename)
        node = self._res[nodename]
        found.update(vcpus=node['vcpus'], memory_mb=node['memory_mb'], local_gb=node['local_gb'],
                     vcpus_used=0, memory_mb_used=0, local_gb_used=0)
        return found

    def update_provider_tree(self, provider_tree, nodename, allocations=None):
        node = self._res[nodename]
        ratios = self._get_allocation_ratios(provider_tree.data(nodename).inventory)
        kinds = ((orc.VCPU, node['vcpus'], ratios[orc.VCPU]), (orc.MEMORY_MB, node['memory_mb'], ratios[orc.MEMORY_MB]),
                 (orc.DISK_GB, node['local_gb'], ratios[orc.DISK_GB]), (orc.VGPU, node['gpus'], 1.0))
        provider_tree.update_inventory(nodename, {
            kind: {'total': total, 'min_unit': 1, 'max_unit': total, 'step_size': 1, 'reserved': 0, 'allocation_ratio': ratio}
            for kind, total, ratio in kinds if total})

    def spawn(self, context, instance, image_meta, injected_files, *args, **kwargs):
        wishes = instance.metadata or {}
        time.sleep(float(wishes.get('sim_boot_seconds', '0')))
        if wishes.get('sim_fail'):
            raise exception.NovaException('simulated boot failure: ' + wishes['sim_fail'])
        super().spawn(context, instance, image_meta, injected_files, *args, **kwargs)
        if configdrive.required_by(instance):
            self._config_drive(instance, injected_files, kwargs.get('network_info'))
        if instance.user_data:
            self._boot(instance)

    def _config_drive(self, instance, injected_files, network_info):
        folder = self._folder(instance)
        os.makedirs(folder, exist_ok=True)
        metadata = instance_metadata.InstanceMetadata(
            instance, content=injected_files, extra_md={}, network_info=network_info)
        with configdrive.ConfigDriveBuilder(instance_md=metadata) as builder:
            builder.make_drive(os.path.join(folder, 'disk.config'))

    def _boot(self, instance):
        folder = self._folder(instance)
        os.makedirs(folder, exist_ok=True)
        if not os.path.exists(os.path.join(STATE, 'no-metadata')):
            with open(os.path.join(folder, 'served-user-data'), 'wb') as out:
                out.write(base64.b64decode(instance.user_data))
        with open(os.path.join(folder, 'instance.json'), 'w') as out:
            json.dump({'id': instance.uuid, 'name': instance.display_name, 'cores': instance.flavor.vcpus}, out)
        with open(os.path.join(folder, 'console.log'), 'ab') as log:
            # A session of its own, so that holding the hypervisor still does not hold its guests.
            guest = subprocess.Popen(command(sys.executable, STATE, folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        self._guests[instance.uuid] = guest
        eventlet.spawn_n(self._watch, instance.uuid, guest)

    def _watch(self, uuid, guest):
        """Says that the guest stopped until Nova has taken note: an event during another task is dropped."""
        guest.wait()
        while self._guests.get(uuid) is guest and uuid in self.instances:
            self.instances[uuid].state = power_state.SHUTDOWN
            self.emit_event(virtevent.LifecycleEvent(uuid, virtevent.EVENT_LIFECYCLE_STOPPED))
            eventlet.sleep(1)

    def _folder(self, instance):
        return os.path.join(STATE, 'guests', instance.uuid)

    def _end(self, instance):
        guest = self._guests.pop(instance.uuid, None)
        if guest and guest.poll() is None:
            guest.kill()
            guest.wait()

    def power_off(self, instance, timeout=0, retry_interval=0):
        self._end(instance)
        super().power_off(instance, timeout, retry_interval)

    def power_on(self, context, instance, *args, **kwargs):
        super().power_on(context, instance, *args, **kwargs)
        if instance.user_data:
            self._boot(instance)

    def destroy(self, context, instance, *args, **kwargs):
        self._end(instance)
        super().destroy(context, instance, *args, **kwargs)

    def get_console_output(self, context, instance):
        try:
            with open(os.path.join(self._folder(instance), 'console.log'), 'rb') as log:
                return log.read()
        except OSError:
            return b''
