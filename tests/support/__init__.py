"""What several tests share: real processes, real servers, real tokens.

ports     free ports on loopback
http      a client that sends exactly what it is told
issuer    an HTTP server that publishes a key set, and the tokens that go with it
rotation  a signer that rotates by a schedule, and clients that know it
scenes    key stores that run for the length of a scene
backend   a service behind the gateway that says what it got
gateway   `jwtgate up` as a process
load      clients that go on until they are told to stop
"""
