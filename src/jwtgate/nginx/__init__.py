"""Plan → nginx.conf, and the NGINX process that runs it.

quote    a value as NGINX's grammar writes it, or a refusal
site     where things are on this machine: sockets, caches, the version of NGINX
render   Plan and Site → the text of nginx.conf
binary   which NGINX, and what it can do
runtime  directories, `nginx -t`, start
"""

from jwtgate.nginx.binary import Nginx, find_nginx
from jwtgate.nginx.render import render
from jwtgate.nginx.site import Site

__all__ = ["Nginx", "Site", "find_nginx", "render"]
