import os
import sys

print("hello from a sandbox")
print(f"working in {os.getcwd()}, file {__file__}")
open("/root/made-in-the-sandbox.txt", "w").write("x" * 1000)
print("and this is stderr", file=sys.stderr)
