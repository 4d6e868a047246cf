"""What the tests of messages share."""

import threading

WAIT_S = 5.0


def bodies(messages):
    return [message.body for message in messages]


def in_thread(fn):
    result = []
    thread = threading.Thread(target=lambda: result.append(fn()), daemon=True)
    thread.start()

    def get():
        thread.join(2 * WAIT_S)
        assert result, "it still waits, or failed"
        return result[0]

    return get
