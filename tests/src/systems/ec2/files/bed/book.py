"""The instances: what each is, the states through which it goes by time, and the history of all of them."""
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone

# The codes of states in the API.
CODES = {'pending': 0, 'running': 16, 'shutting-down': 32, 'terminated': 48, 'stopping': 64, 'stopped': 80}
# Why an instance ended: the words of StateReason, and of StateTransitionReason.
WORDS = {
    'Client.UserInitiatedShutdown': ('Client.UserInitiatedShutdown: User initiated shutdown', 'User initiated (%s)'),
    'Client.InstanceInitiatedShutdown': ('Client.InstanceInitiatedShutdown: Instance initiated shutdown', ''),
    'Server.SpotInstanceTermination': ('Server.SpotInstanceTermination: Spot instance termination', 'Server.SpotInstanceTermination'),
    'Server.InsufficientInstanceCapacity': (
        'Server.InsufficientInstanceCapacity: Insufficient capacity to launch the instance', 'Server.InsufficientInstanceCapacity'),
    'Client.VolumeLimitExceeded': ('Client.VolumeLimitExceeded: Volume limit exceeded', 'Client.VolumeLimitExceeded'),
    'Client.InternalError': ('Client.InternalError: Client error on launch', 'Client.InternalError'),
    'Client.InvalidSnapshot.NotFound': (
        'Client.InvalidSnapshot.NotFound: The specified snapshot was not found', 'Client.InvalidSnapshot.NotFound'),
    'Server.InternalError': ('Server.InternalError: Internal error on launch', 'Server.InternalError'),
}


@dataclass
class Instance:
    id: str
    reservation: str
    index: int
    type: str
    purchase: str
    image: str
    architecture: str
    subnet: str
    zone: str
    vpc: str
    groups: list
    address: str
    tags: dict
    client_token: str
    user_data: bytes
    metadata: dict
    on_shutdown: str
    root: dict
    launched: float
    visible: float
    interface: str
    volume_tags: dict = field(default_factory=dict)
    interface_tags: dict = field(default_factory=dict)
    spot_request: str = None
    max_price: str = None
    profile: dict = None
    key_name: str = None
    state: str = 'pending'
    since: float = 0.0
    reason: str = None
    transition: str = ''
    pools: list = field(default_factory=list)
    protected: bool = False

    @property
    def state_reason(self):
        return self.reason and {'Code': self.reason, 'Message': WORDS.get(self.reason, (self.reason, ''))[0]}

    @property
    def lives(self):
        return self.state in ('pending', 'running', 'stopping', 'stopped')


class Book:
    def __init__(self, stage):
        self.stage = stage
        self.instances, self.history = {}, []
        # Seconds: until it runs, until it is terminated, until nobody hears of it any more, until others see that it was made.
        self.boot, self.end, self.forget, self.late = 1.0, 1.0, 3600.0, 0.0
        self.hidden, self.partial = set(), False

    def start(self):
        threading.Thread(target=self._turn, daemon=True).start()

    def _turn(self):
        while True:
            time.sleep(0.1)
            with self.stage.lock:
                self.tick()

    def tick(self):
        """Lets states change whose time has come."""
        now = time.time()
        for one in list(self.instances.values()):
            age = now - one.since
            if one.state == 'pending' and age >= self.boot:
                self.enter(one, 'running')
                self.stage.guests.boot(one)
            elif one.state == 'shutting-down' and age >= self.end:
                self.enter(one, 'terminated')
            elif one.state == 'stopping' and age >= self.end:
                self.enter(one, 'stopped')
            elif one.state == 'terminated' and age >= self.forget:
                del self.instances[one.id]
        self.stage.reclaims.tick()

    def enter(self, one, state):
        one.state, one.since = state, time.time()
        self._write(one, state)

    def _write(self, one, what):
        self.history.append({
            'at': time.time(), 'id': one.id, 'what': what, 'reason': one.reason, 'client_token': one.client_token, 'tags': dict(one.tags)})

    def add(self, one):
        one.since = one.launched
        self.instances[one.id] = one
        self._write(one, 'launched')

    def ends(self, one, reason, state='shutting-down'):
        """An instance goes; what it was goes at once, and what is said of it stays for a while."""
        if not one.lives or (one.state in ('stopping', 'stopped') and state == 'stopping'):
            return
        one.reason = reason
        transition = WORDS.get(reason, (reason, reason))[1]
        stamp = datetime.fromtimestamp(time.time(), timezone.utc).strftime('%Y-%m-%d %H:%M:%S GMT')
        one.transition = transition % stamp if '%s' in transition else transition
        self.enter(one, state)
        for pool in one.pools:
            pool['left'] += 1
        one.pools = []
        self.stage.guests.end(one)

    def seen(self, listing):
        """The instances that a call sees: in a list, or by their ids."""
        now = time.time()
        return [one for one in self.instances.values() if one.visible <= now and not (listing and (self.partial or one.id in self.hidden))]
