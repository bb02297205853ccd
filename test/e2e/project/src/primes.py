"""Counts primes, and keeps what it found in a file of the sandbox."""

import os
import sys
import time


def is_prime(number):
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


found = []
for start in range(0, 100, 25):
    found += [number for number in range(start, start + 25) if is_prime(number)]
    print(f"below {start + 25:3}: {len(found):2} primes")
    time.sleep(0.2)

with open("/root/primes.txt", "w") as file:
    file.write("\n".join(map(str, found)))
print(f"\033[32mdone\033[0m in {os.getcwd()} on {os.uname().sysname}")
print("written to /root/primes.txt, which only the sandbox has", file=sys.stderr)
