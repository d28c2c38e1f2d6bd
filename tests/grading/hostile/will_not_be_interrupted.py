# Catches KeyboardInterrupt for ever, ignores and blocks signals, and sets alarms of its own.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import signal
import time


def total(numbers):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True:
        try:
            time.sleep(1)
        except BaseException:
            pass


# %% [after q08-center]
while True:
    try:
        while True:
            time.sleep(0.01)
    except BaseException as error:
        print(type(error))
