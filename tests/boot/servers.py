# SPDX-License-Identifier: Apache-2.0
"""Servers and clients of real images over TCP inside one VM."""

PY_HTTP = r"""
import hashlib, http.client, http.server, os, socket, threading
os.chdir('/tmp'); open('big', 'wb').write(bytes(range(256)) * 20000)
class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *a): pass
class Six(http.server.ThreadingHTTPServer): address_family = socket.AF_INET6
for kind, host in ((http.server.ThreadingHTTPServer, '127.0.0.1'), (Six, '::1')):
    server = kind((host, 0), Quiet); port = server.server_address[1]
    threading.Thread(target=server.serve_forever).start()
    def client(out):
        c = http.client.HTTPConnection(host, port)
        for _ in range(5):
            c.request('GET', '/big'); r = c.getresponse(); body = r.read()
            out.append((r.status, len(body), hashlib.sha1(body).hexdigest()))
        c.request('GET', '/none'); r = c.getresponse(); r.read(); out.append(r.status); c.close()
    outs = [[] for _ in range(8)]; ts = [threading.Thread(target=client, args=(o,)) for o in outs]
    for t in ts: t.start()
    for t in ts: t.join()
    print(len(set(map(str, outs))), outs[0][0], outs[0][-1]); server.shutdown(); server.server_close()
    try: http.client.HTTPConnection(host, port).request('GET', '/')
    except OSError as e: print(type(e).__name__)
"""

REDIS = r"""
cd /tmp; redis-server --port 7777 --bind 127.0.0.1 ::1 --save '' --loglevel warning > log 2>&1 & p=$!
c() { redis-cli -p 7777 "$@"; }; i=0; until [ "$(c ping 2>/dev/null)" = PONG ] || [ $i = 600 ]; do sleep 0.1; i=$((i+1)); done
seq 1 2000 | awk '{print "SET key:" $1 " value-" $1 * $1}' | c --pipe | tail -1
redis-benchmark -p 7777 -n 4000 -c 20 -q -t set,get,lpush,lpop -r 500 -P 8 > bench 2>&1; echo bench $?
head -c 3000000 /dev/zero | tr '\0' x | c -x set big; c strlen big; c get big | md5sum
c -h ::1 get key:44; i=0; until [ "$(c client list | grep -c addr=)" = 1 ] || [ $i = 600 ]; do sleep 0.1; i=$((i+1)); done
c client list | grep -c addr=; c shutdown nosave; wait $p; echo stopped $?
c ping 2>&1 | head -1
"""

NGINX = r"""
mkdir -p /tmp/n/w /var/log/nginx /var/lib/nginx; cd /tmp/n; chmod 755 /tmp/n
cat > c <<X
worker_processes 2; pid /tmp/n/pid; error_log /tmp/n/err; user nobody nogroup; events { worker_connections 256; }
http { access_log off; client_body_temp_path /tmp/n/b; proxy_temp_path /tmp/n/p; fastcgi_temp_path /tmp/n/f;
uwsgi_temp_path /tmp/n/u; scgi_temp_path /tmp/n/s; sendfile on; tcp_nopush on; client_max_body_size 9m;
server { listen 8080 reuseport; listen [::]:8080 reuseport; location / { root /tmp/n/w; }
location /p { proxy_pass http://127.0.0.1:8081/; } }
server { listen 127.0.0.1:8081 deferred; location / { return 200 "back \$remote_addr\n"; } } }
X
head -c 3000000 /dev/zero | tr '\0' x > w/big; echo hello > w/a
nginx -c /tmp/n/c; echo start $?; U=http://127.0.0.1:8080
curl -s $U/a; curl -s http://[::1]:8080/a; curl -s $U/p; curl -s $U/big | md5sum; curl -s -r 1000000-1000009 $U/big; echo
curl -s -o /dev/null -w '%{http_code}\n' $U/none; curl -s -d @w/big -o /dev/null -w '%{http_code}\n' $U/a
i=0; while [ $i -lt 40 ]; do curl -s $U/a & i=$((i+1)); done > out; wait; wc -l < out
nginx -c /tmp/n/c -s quit 2>/dev/null; i=0; while [ -e pid ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done
curl -s $U/a; echo $?; grep -E 'emerg|alert|crit' err; echo done
"""

PY_MEMORY = r"""
# Whoever writes and is not read is bounded; a small VM goes on.
import socket
l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(400); held = []; total = 0
for i in range(300):
    s = socket.socket(); s.connect(l.getsockname()); c = l.accept()[0]; s.setblocking(False); held += [(s, c)]
    try:
        while True: total += s.send(b'x' * 65536)
    except BlockingIOError: pass
print('full', total > 1 << 20, total < 100 << 20)
free = [int(x.split()[1]) for x in open('/proc/meminfo') if x.startswith('MemAvailable')][0]
print('left', free > 20000)
got = 0
for s, c in held:
    s.setblocking(True); s.shutdown(socket.SHUT_WR)
    while True:
        d = c.recv(1 << 20)
        if not d: break
        got += len(d)
    s.close(); c.close()
print('all', got == total)
s = socket.socket(); s.connect(l.getsockname()); c = l.accept()[0]; s.sendall(b'y' * 50000)
n = 0
while n < 50000: n += len(c.recv(65536))
print('again', n)
"""


def cases(Case):
    return [
        Case("tcp_python_http", "python3", "python3", "-c", PY_HTTP),
        Case("tcp_redis", "redis", "sh", "-c", REDIS),
        Case("tcp_nginx", "nginx", "sh", "-c", NGINX),
        Case("tcp_memory", "python3", "python3", "-c", PY_MEMORY, flags=["-m", "128m"], code=0,
             out="full True True\nleft True\nall True\nagain 50000\n"),
        Case("tcp_nginx_smp", "nginx", "sh", "-c", NGINX, flags=["--vcpus", "2"], load=True),
    ]
