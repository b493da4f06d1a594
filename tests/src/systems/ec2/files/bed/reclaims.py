"""Spot instances that EC2 takes back: one on command, a part of all at once, or each at random with a mean rate for its offering."""
import random
import secrets
import time
from fnmatch import fnmatchcase


class Reclaims:
    def __init__(self, stage):
        self.stage = stage
        # What is announced: when each ends.
        self.announced = {}
        self.at_random(0, [], 0)

    def take(self, one, notice):
        if one.purchase != 'spot' or not one.lives:
            raise ValueError('only a Spot instance that lives is reclaimed')
        ends = time.time() + notice
        self.announced[one.id] = ends
        self.stage.metadata.announce(one.id, ends)
        self.stage.send(one.zone, 'EC2 Spot Instance Interruption Warning', {'instance-id': one.id, 'instance-action': 'terminate'})

    def storm(self, part, notice):
        """Takes back a part of the Spot instances that live; which ones is left to chance."""
        living = [one.id for one in self._living()]
        taken = secrets.SystemRandom().sample(living, round(len(living) * part))
        for name in taken:
            self.take(self.stage.book.instances[name], notice)
        return taken

    def at_random(self, seed, rates, notice):
        """From now on each Spot instance is taken back after a time that follows from the seed, its offering (type and zone), and how many
        of that offering came before it. `rates`: how often an hour, in the mean; the first whose `type` and `zone` fit, with wildcards."""
        self.seed, self.rates, self.notice, self.since = seed, rates, notice, time.time()
        self.counted, self.due = {}, {}

    def to_come(self):
        """When each is taken back at random, in seconds since that began."""
        self._draw()
        return {name: due - self.since for name, due in self.due.items() if due is not None}

    def tick(self):
        """Announces and ends what is due, the earliest first."""
        now = time.time()
        self._draw()
        for name, due in sorted((item for item in self.due.items() if item[1] is not None), key=lambda item: item[1]):
            one = self.stage.book.instances.get(name)
            if due <= now:
                self.due[name] = None
                if one and one.lives and name not in self.announced:
                    self.take(one, self.notice)
        for name, ends in sorted(self.announced.items(), key=lambda item: item[1]):
            if ends <= now:
                del self.announced[name]
                one = self.stage.book.instances.get(name)
                if one:
                    self.stage.book.ends(one, 'Server.SpotInstanceTermination')

    def _living(self):
        return [one for one in self.stage.book.instances.values() if one.purchase == 'spot' and one.lives]

    def _draw(self):
        """Draws the time of each Spot instance that has none yet, in the order in which they were made."""
        for one in self._living() if self.rates else []:
            if one.id in self.due:
                continue
            offering = one.type, one.zone
            number = self.counted[offering] = self.counted.get(offering, 0) + 1
            rate = next((r['per_hour'] for r in self.rates if fnmatchcase(one.type, r['type']) and fnmatchcase(one.zone, r['zone'])), 0)
            # What happens to each at the same rate at any time lives for times that are distributed exponentially.
            hours = random.Random('%s %s %s %d' % (self.seed, *offering, number)).expovariate(rate) if rate else None
            self.due[one.id] = max(one.launched, self.since) + 3600 * hours if rate else None
