"""The guests of instances: each does its user-data in namespaces of its own, as those of the other testbed (`guest.py`)."""
import json
import os
import subprocess
import sys
import threading

from guest import command


class Guests:
    def __init__(self, stage):
        self.stage = stage
        self.running, self.first = {}, {}

    def _folder(self, id):
        return os.path.join(self.stage.state, 'guests', id)

    def boot(self, one):
        """Starts the guest of an instance that begins to run. One without user-data has nothing to do, and none.

        Only the book's own thread may call it: a guest ends with the thread that started it.
        """
        port = self.stage.metadata.serve(one)
        if not one.user_data:
            return
        folder = self._folder(one.id)
        os.makedirs(folder, exist_ok=True)
        if one.metadata['HttpEndpoint'] == 'enabled':
            with open(os.path.join(folder, 'served-user-data'), 'wb') as out:
                out.write(one.user_data)
        about = {
            'id': one.id, 'name': 'ip-' + one.address.replace('.', '-'), 'cores': self.stage.capacity.cores(one.type),
            # As AWS's SDKs and tools are told of another address than 169.254.169.254.
            'environment': {'AWS_EC2_METADATA_SERVICE_ENDPOINT': 'http://127.0.0.1:%d' % port},
        }
        with open(os.path.join(folder, 'instance.json'), 'w') as out:
            json.dump(about, out)
        with open(os.path.join(folder, 'console.log'), 'ab') as log:
            guest = subprocess.Popen(command(sys.executable, self.stage.state, folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        self.running[one.id] = guest
        threading.Thread(target=self._watch, args=(one, guest), daemon=True).start()

    def _watch(self, one, guest):
        crashed = guest.wait() != 0
        with self.stage.lock:
            if self.running.get(one.id) is not guest:
                return
            del self.running[one.id]
            # Who boots into nothing, for example with user-data that nobody can read, stays and costs money.
            if not crashed:
                self.halted(one)

    def halted(self, one):
        """The guest has powered itself off: the instance stops or is terminated, as it was launched."""
        # A one-time Spot instance that stops by itself is gone: nothing starts it again.
        ends = one.on_shutdown == 'terminate' or one.purchase == 'spot'
        self.stage.book.ends(one, 'Client.InstanceInitiatedShutdown', 'shutting-down' if ends else 'stopping')

    def end(self, one):
        """Ends the guest and all of its processes."""
        guest = self.running.pop(one.id, None)
        if guest and guest.poll() is None:
            guest.kill()
            guest.wait()
        self.stage.metadata.close(one.id)

    def console_of(self, id):
        try:
            with open(os.path.join(self._folder(id), 'console.log'), 'rb') as log:
                return log.read().decode(errors='replace')
        except OSError:
            return ''

    def console(self, one, latest):
        """The console. What is not the latest is what there was at the first look."""
        text = self.console_of(one.id).encode()
        if latest:
            return text
        return self.first.setdefault(one.id, text) if text else text
