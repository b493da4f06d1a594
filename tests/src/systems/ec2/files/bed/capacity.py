"""Which types there are, in which zones, for how much, and how many of them are left."""
import zlib
from fnmatch import fnmatchcase

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

from .wire import Refused


class Capacity:
    def __init__(self, region):
        self.region = region
        self.zones = [region + letter for letter in 'abc']
        self.offered = {}
        for one in INSTANCE_TYPE_OFFERINGS['availability-zone'][region]:
            self.offered.setdefault(one['InstanceType'], set()).add(one['Location'])
        self.types = {name: INSTANCE_TYPES[name] for name in sorted(self.offered) if name in INSTANCE_TYPES}
        self.pools, self.prices = {}, {}

    def known(self, name):
        """What a type has, as DescribeInstanceTypes says it."""
        found = self.types.get(name)
        if found is None:
            raise Refused('InvalidParameterValue', "Invalid value '%s' for InstanceType." % name)
        return found

    def cores(self, name):
        return self.types[name]['VCpuInfo']['DefaultVCpus']

    def set(self, kind, zone, purchase, left):
        """How many more instances may be had, or None: as many as one likes. Type and zone may have wildcards."""
        if left is None:
            self.pools.pop((kind, zone, purchase), None)
        else:
            self.pools[kind, zone, purchase] = {'left': left}

    def _pools(self, kind, zone, purchase):
        return [pool for (k, z, p), pool in self.pools.items() if p == purchase and fnmatchcase(kind, k) and fnmatchcase(zone, z)]

    def room(self, kind, zone, purchase):
        return min((pool['left'] for pool in self._pools(kind, zone, purchase)), default=float('inf'))

    def check(self, kind, zone, purchase, count):
        """Refuses what the zone does not have or has no room for."""
        if zone not in self.offered[kind]:
            others = ', '.join(sorted(self.offered[kind]))
            raise Refused('Unsupported', 'Your requested instance type (%s) is not supported in your requested Availability Zone (%s). '
                          'Please retry your request by not specifying an Availability Zone or choosing %s.' % (kind, zone, others))
        if self.room(kind, zone, purchase) >= count:
            return
        if purchase == 'spot':
            raise Refused('InsufficientInstanceCapacity', 'There is no Spot capacity available that matches your request.', 500)
        others = [z for z in self.zones if z != zone and z in self.offered[kind] and self.room(kind, z, purchase) >= count]
        hint = ' or choosing ' + ', '.join(others) if others else ''
        raise Refused('InsufficientInstanceCapacity', 'We currently do not have sufficient %s capacity in the Availability Zone you '
                      'requested (%s). Our system will be working on provisioning additional capacity. You can currently get %s '
                      'capacity by not specifying an Availability Zone in your request%s.' % (kind, zone, kind, hint), 500)

    def take(self, kind, zone, purchase):
        """The pools from which one instance is taken. They get it back when it ends; one that was set anew meanwhile does not."""
        pools = self._pools(kind, zone, purchase)
        for pool in pools:
            pool['left'] -= 1
        return pools

    def price(self, kind, zone):
        """The Spot price of an hour, in dollars. Where no test has set it, it follows from cores and GPUs, a little apart in each zone."""
        for place in (zone, '*'):
            if (kind, place) in self.prices:
                return self.prices[kind, place]
        about = self.types[kind]
        gpus = about.get('GpuInfo', {}).get('TotalGpuMemoryInMiB', 0) / 1024
        base = 0.014 * about['VCpuInfo']['DefaultVCpus'] + 0.0009 * about['MemoryInfo']['SizeInMiB'] / 1024 + 0.006 * gpus
        return round(base * (0.9 + zlib.crc32((kind + zone).encode()) % 2000 / 10000), 4)

    def on_demand(self, kind):
        """What the same is worth without Spot, to put choices in the order of their price."""
        return round(sum(self.price(kind, zone) for zone in sorted(self.offered[kind])) / len(self.offered[kind]) * 2.6, 4)
