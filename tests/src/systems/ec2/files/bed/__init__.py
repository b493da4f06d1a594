"""An EC2 for tests: moto, and before it a layer that behaves as AWS documents where a driver can tell.

A call goes through `layer.py`: its fate (`faults.py`), its signature (`signature.py`), what the caller may do and how fast, and then to one
of our actions or to moto. Instances, launch templates, fleets and STS are ours; VPCs, subnets, security groups, images, SQS and SSM are
moto's.
"""
