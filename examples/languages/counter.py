import itertools
import time

for count in itertools.count(1):
    print(f"python counts {count}")
    time.sleep(1)
