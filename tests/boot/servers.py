# SPDX-License-Identifier: Apache-2.0
"""Servers and clients of real images over TCP inside one VM."""
from programs import UNTIL

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

REDIS = UNTIL + r"""
cd /tmp; redis-server --port 7777 --bind 127.0.0.1 ::1 --save '' --loglevel warning > log 2>&1 & p=$!
c() { redis-cli -p 7777 "$@"; }; until_ '[ "$(c ping 2>/dev/null)" = PONG ]'
seq 1 2000 | awk '{print "SET key:" $1 " value-" $1 * $1}' | c --pipe | tail -1
redis-benchmark -p 7777 -n 4000 -c 20 -q -t set,get,lpush,lpop -r 500 -P 8 > bench 2>&1; echo bench $?
head -c 3000000 /dev/zero | tr '\0' x | c -x set big; c strlen big; c get big | md5sum
c -h ::1 get key:44; until_ '[ "$(c client list | grep -c addr=)" = 1 ]'
c client list | grep -c addr=; c shutdown nosave; wait $p; echo stopped $?
c ping 2>&1 | head -1
"""

NGINX = UNTIL + r"""
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
nginx -c /tmp/n/c -s quit 2>/dev/null; until_ '! [ -e pid ]'
curl -s $U/a; echo $?; grep -E 'emerg|alert|crit' err; echo done
"""

NODE = r"""
const [http, net, fs, crypto, cp, zlib] = ['http', 'net', 'fs', 'crypto', 'child_process', 'zlib'].map(require);
const {Worker} = require('worker_threads');
const sha=b=>crypto.createHash('sha1').update(b).digest('hex');
const big=Buffer.alloc(3000000,'node');
const server=http.createServer((q,r)=>{
  if(q.url==='/big') r.end(big);
  else if(q.url==='/echo') { const h=crypto.createHash('sha1'); q.on('data',d=>h.update(d)); q.on('end',()=>r.end(h.digest('hex'))); }
  else if(q.url==='/gzip') { r.setHeader('content-encoding','gzip'); zlib.gzip(big,(e,z)=>r.end(z)); }
  else { r.statusCode=404; r.end(); } });
const agent=new http.Agent({keepAlive:true,maxSockets:8});
const get=(port,host,path,body)=>new Promise((ok,no)=>{
  const q=http.request({port,host,path,method:body?'POST':'GET',agent},r=>{
    const d=[]; r.on('data',x=>d.push(x)); r.on('end',()=>ok([r.statusCode,Buffer.concat(d)])); });
  q.on('error',no); q.end(body); });
(async()=>{
  for(const host of ['127.0.0.1','::1']){
    await new Promise(ok=>server.listen(0,host,ok)); const port=server.address().port;
    const all=await Promise.all(Array.from({length:40},(_,i)=>get(port,host,'/big')));
    console.log(host,new Set(all.map(x=>x[0]+sha(x[1]))).size,all[0][0]);
    const e=await get(port,host,'/echo',big); console.log(e[1].toString()===sha(big));
    const z=await get(port,host,'/gzip'); console.log(zlib.gunzipSync(z[1]).equals(big));
    console.log((await get(port,host,'/none'))[0]);
    agent.destroy(); await new Promise(ok=>{server.close(ok);server.closeAllConnections();});
    await get(port,host,'/x').catch(e=>console.log(e.code));
  }
  fs.mkdirSync('/tmp/d'); const seen=new Promise(ok=>{const w=fs.watch('/tmp/d',(k,f)=>{w.close();ok(k+' '+f);});});
  fs.writeFileSync('/tmp/d/f','x'); console.log(await seen);
  await fs.promises.writeFile('/tmp/big',big); console.log(sha(await fs.promises.readFile('/tmp/big'))===sha(big));
  console.log(cp.execSync('echo child; exit 0').toString().trim());
  const p=cp.spawn('sh',['-c','cat; exit 3']); p.stdin.end('piped'); let out=''; p.stdout.on('data',d=>out+=d);
  console.log(await new Promise(ok=>p.on('close',c=>ok(c+out))));
  const w=new Worker("const {parentPort}=require('worker_threads');parentPort.on('message',n=>{" +
    "let s=0;for(let i=0;i<n;i++)s+=i;parentPort.postMessage(s);parentPort.close();})",{eval:true});
  w.postMessage(1e6); console.log(await new Promise(ok=>w.on('message',ok)));
  console.log(await new Promise((ok,no)=>crypto.pbkdf2('a','b',1000,16,'sha256',(e,k)=>ok(k.toString('hex')))));
  const unix=net.createServer(s=>s.pipe(s)).listen('/tmp/s.sock',()=>{
    const c=net.connect('/tmp/s.sock'); c.end('unix'); c.on('data',d=>{console.log(d.toString());unix.close();}); });
  await new Promise(ok=>unix.on('close',ok));
  const signal=new Promise(ok=>process.on('SIGUSR2',ok)); process.kill(process.pid,'SIGUSR2'); console.log(await signal);
})();
"""

SSHD = UNTIL + r"""
cd /tmp; mkdir -p /run/sshd /root/.ssh; chmod 755 /run/sshd; chmod 700 /root/.ssh /root
echo 'sshd:x:105:65534::/run/sshd:/bin/false' >> /etc/passwd
ssh-keygen -q -t ed25519 -N '' -f hostkey; ssh-keygen -q -t ed25519 -N '' -f key; cp key.pub /root/.ssh/authorized_keys
cat > conf <<X
Port 2222
ListenAddress 127.0.0.1
ListenAddress ::1
HostKey /tmp/hostkey
PidFile /tmp/pid
UsePAM no
PasswordAuthentication no
Subsystem sftp /usr/lib/openssh/sftp-server
X
/usr/sbin/sshd -f conf -E log; echo start $?; until_ '[ -e pid ]'
O="-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/tmp/known -o LogLevel=ERROR -o BatchMode=yes"
s() { ssh $O -i key -p 2222 "$@"; }
s root@127.0.0.1 'echo one; echo two >&2; exit 7'; echo $?
s root@::1 md5sum < /usr/bin/ssh; md5sum < /usr/bin/ssh
s -tt root@127.0.0.1 'test -t 0 && tty | cut -c1-8' < /dev/null | tr -d '\r'
head -c 5000000 /dev/zero | tr '\0' z > big; scp -q $O -i key -P 2222 big root@127.0.0.1:/tmp/big2; cmp big big2 && echo scp
echo 'get /tmp/big2 big3' | sftp -q $O -i key -P 2222 -b - root@127.0.0.1 > /dev/null; cmp big big3 && echo sftp
s -N -L 8888:127.0.0.1:2222 root@127.0.0.1 & t=$!; through() { ssh $O -i key -p 8888 root@127.0.0.1 'echo tunnel' 2>/dev/null; }
until_ through; kill $t; wait $t 2>/dev/null
ssh $O -i hostkey -p 2222 root@127.0.0.1 true 2>&1 | grep -o 'Permission denied'
i=0; while [ $i -lt 8 ]; do s root@127.0.0.1 "echo $i" & i=$((i+1)); done > out; wait; sort out | tr '\n' ' '
kill $(cat pid); until_ '! [ -e pid ]'; grep -i fatal log; echo done
"""

POSTGRES = r"""
mkdir -m 700 /tmp/pg; chown app /tmp/pg; cat > /tmp/script <<'X'
export PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/tmp/pg PGHOST=/tmp LC_ALL=C TZ=UTC
q() { psql -At -v ON_ERROR_STOP=1 postgres "$@"; }
start() { pg_ctl -o "-k /tmp -c listen_addresses=127.0.0.1" -l /tmp/log -t 300 -w start > /dev/null; echo start $?; }
initdb -A trust -N > /dev/null; echo initdb $?; start
q -c "create table t(id serial primary key, v text)" -c "insert into t(v) select md5(i::text) from generate_series(1,20000) i"
q -c "create index on t(v)" -c "analyze t" -c "select count(*), md5(string_agg(v, chr(44) order by id)) from t"
q -h 127.0.0.1 -c "select v from t where v like 'ab%' order by v limit 2"
pgbench -i -q postgres > /dev/null 2>&1; echo bench $?; pgbench -h 127.0.0.1 -c 8 -j 2 -t 50 postgres 2>/dev/null | grep -E "actually|failed"
q -c "set max_parallel_workers_per_gather=2; set parallel_setup_cost=0; set parallel_tuple_cost=0; set min_parallel_table_scan_size=0" \
  -c "select count(*) from pgbench_accounts where abalance > -1000000"
q -c "vacuum full" -c "reindex table t" -c "select count(*) from pgbench_history"
pg_ctl -m immediate stop > /dev/null; echo crash $?; start
q -c "select count(*) from t" -c "select sum(delta) = (select sum(abalance) from pgbench_accounts) from pgbench_history"
pg_ctl -m fast -t 300 -w stop > /dev/null; echo stop $?; grep PANIC /tmp/log; echo done
X
cd /tmp; busybox su app -s /bin/sh -c '. /tmp/script'
"""

JAVA = r"""
import java.net.*; import java.net.http.*; import java.nio.file.*; import java.util.*; import java.util.concurrent.*;
import com.sun.net.httpserver.*;
public class T {
  static int deep(int i) { return deep(i + 1) + 1; }
  public static void main(String[] a) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(8);
    byte[] big = new byte[2000000]; Arrays.fill(big, (byte) 'j');
    HttpServer s = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 50);
    s.createContext("/", x -> { x.sendResponseHeaders(200, big.length); x.getResponseBody().write(big); x.close(); });
    s.setExecutor(pool); s.start();
    HttpRequest get = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + s.getAddress().getPort() + "/")).build();
    HttpClient c = HttpClient.newHttpClient(); List<CompletableFuture<byte[]>> got = new ArrayList<>();
    for (int i = 0; i < 20; i++)
      got.add(c.sendAsync(get, HttpResponse.BodyHandlers.ofByteArray()).thenApply(r -> r.body()));
    boolean same = true; for (var f : got) same &= Arrays.equals(f.get(), big);
    System.out.println("http " + same); s.stop(0);
    List<Future<Long>> sums = new ArrayList<>();
    for (int i = 0; i < 16; i++) { long k = i; sums.add(pool.submit(() -> {
      long x = k; for (int j = 0; j < 3000000; j++) x = x * 6364136223846793005L + 1442695040888963407L; return x; })); }
    long sum = 0; for (var f : sums) sum += f.get();
    System.out.println("threads " + sum); pool.shutdown();
    List<byte[]> keep = new ArrayList<>();
    for (int i = 0; i < 50000; i++) { byte[] b = new byte[10000]; if (i % 100 == 0) keep.add(b); }
    System.gc(); System.out.println("gc " + keep.size());
    Process p = new ProcessBuilder("sh", "-c", "cat; exit 4").start();
    p.getOutputStream().write("piped".getBytes()); p.getOutputStream().close();
    System.out.println(new String(p.getInputStream().readAllBytes()) + p.waitFor());
    WatchService w = FileSystems.getDefault().newWatchService(); Path d = Files.createTempDirectory("w");
    d.register(w, StandardWatchEventKinds.ENTRY_CREATE); Files.writeString(d.resolve("f"), "x");
    System.out.println("watch " + w.take().pollEvents().get(0).context());
    try { String o = a.length > 9 ? "" : null; o.length(); } catch (NullPointerException x) { System.out.println("null"); }
    try { deep(0); } catch (StackOverflowError x) { System.out.println("deep"); }
    try { new Socket("127.0.0.1", 1); } catch (ConnectException x) { System.out.println("refused"); }
    System.exit(5);
  }
}
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
        Case("tcp_node", "node", "node", "-e", NODE),
        Case("tcp_sshd", "sshd", "sh", "-c", SSHD),
        Case("tcp_postgres", "postgres", "sh", "-c", POSTGRES),
        Case("tcp_java", "java", "sh", "-c", "cd /tmp; cat > T.java; $(ls -d /usr/lib/jvm/java-17*)/bin/java T.java",
             stdin=JAVA),
        Case("tcp_memory", "python3", "python3", "-c", PY_MEMORY, flags=["-m", "128m"], code=0,
             out="full True True\nleft True\nall True\nagain 50000\n"),
        Case("tcp_nginx_smp", "nginx", "sh", "-c", NGINX, flags=["--vcpus", "2"], load=True),
    ]
