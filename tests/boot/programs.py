# SPDX-License-Identifier: Apache-2.0
"""Programs of people, from real images: servers over unix sockets, runtimes
with threads and children, shells with job control, every applet of busybox.
Each prints facts only, so that the host's kernel gives the same."""

import os

# until_ CONDITION: within a minute; what follows shows whether it came true.
UNTIL = r"""
until_() { c_=$1 i_=0; until eval "$c_" || [ $i_ = 600 ]; do sleep 0.1; i_=$((i_+1)); done; }
"""
LOAD_S = int(os.environ.get("LIMPET_LOAD_S", "5"))

REDIS = UNTIL + r"""
cd /tmp; S=/tmp/r.sock; c() { redis-cli -s $S "$@"; }
start() { redis-server --port 0 --unixsocket $S --save '' --dir /tmp --enable-debug-command yes --loglevel warning \
  >> /tmp/log 2>&1 & p=$!; until_ '[ "$(c ping 2>/dev/null)" = PONG ]'; }
start
seq 1 2000 | awk '{print "SET key:" $1 " value-" $1 * $1}' | c --pipe | tail -1
c bgsave > /dev/null; end=$(($(date +%s) + SECONDS_OF_LOAD)); saves=0
while :; do
  redis-benchmark -s $S -n 4000 -c 20 -q -t set,get,incr,lpush,lpop,sadd,hset -r 500 -P 4 > /tmp/bench 2>&1 || { echo bench failed; tail -3 /tmp/bench; }
  while [ "$(c info persistence | grep -c rdb_bgsave_in_progress:1)" = 1 ]; do sleep 0.05; done
  [ "$(c info persistence | grep -c rdb_last_bgsave_status:ok)" = 1 ] || echo save failed
  c bgsave > /dev/null; saves=$((saves+1))
  [ $(date +%s) -lt $end ] || break
done
[ $saves -ge 1 ] && echo saved
while [ "$(c info persistence | grep -c rdb_bgsave_in_progress:1)" = 1 ]; do sleep 0.05; done
bad=0; for k in 1 2 77 1000 1999 2000; do [ "$(c get key:$k)" = value-$((k*k)) ] || bad=$((bad+1)); done; echo bad $bad
before=$(c debug digest); rss=$(awk '/VmRSS/ {print $2}' /proc/$p/status)
[ $rss -lt 60000 ] && echo no growth || echo grew to $rss KiB
c shutdown save; wait $p; echo stopped $?
start; [ "$before" = "$(c debug digest)" ] && echo same data; c get key:44; c shutdown nosave; wait $p; echo stopped $?
grep -iE 'error|fail|abort' /tmp/log; exit 0
"""

NGINX = UNTIL + r"""
mkdir -p /tmp/n/w /var/log/nginx /var/lib/nginx; cd /tmp/n; chmod 755 /tmp/n
cat > c <<X
worker_processes 4; pid /tmp/n/pid; error_log /tmp/n/err; user nobody nogroup; events { worker_connections 64; }
http { access_log off; client_body_temp_path /tmp/n/b; proxy_temp_path /tmp/n/p; fastcgi_temp_path /tmp/n/f;
uwsgi_temp_path /tmp/n/u; scgi_temp_path /tmp/n/s; server { listen unix:/tmp/n/s.sock; sendfile on;
location / { root /tmp/n/w; } location /v { return 200 "VERSION\n"; } } }
X
sed -i s/VERSION/one/ c; head -c 300000 /dev/zero | tr '\0' x > w/big; echo hello > w/a
get() { curl -s --unix-socket s.sock "$@"; }
children() { grep -l "^PPid:.$(cat pid)$" /proc/[0-9]*/status 2>/dev/null | wc -l; }
four() { until_ '[ $(children) = 4 ]'; children; }
nginx -c /tmp/n/c; echo start $?; get http://x/a; get http://x/v; get http://x/big | md5sum; four
get -o /dev/null -w '%{http_code}\n' http://x/none
i=0; while [ $i -lt 40 ]; do get http://x/a & i=$((i+1)); done > out; wait; wc -l < out
old=$(cat pid); sed -i s/one/two/ c; nginx -c /tmp/n/c -s reload 2>/dev/null; echo reload $?
until_ '[ "$(get http://x/v)" = two ]'
four; get http://x/v
[ $old = $(cat pid) ] && echo same master
nginx -c /tmp/n/c -s quit 2>/dev/null; until_ '! [ -e pid -o -e s.sock ]'
ls pid s.sock 2>/dev/null; grep -E 'emerg|alert|crit' err; echo done
"""

MOSQUITTO = UNTIL + r"""
printf 'listener 0 /tmp/m.sock\nallow_anonymous true\nlog_type all\n' > /tmp/m.conf
log() { until_ "grep -qs '$1' /tmp/log"; }
for round in 1 2; do
  rm -f /tmp/log; mosquitto -c /tmp/m.conf > /tmp/log 2>&1 & p=$!
  log ' running'
  timeout 1000 mosquitto_sub --unix /tmp/m.sock -t a -C 3 > /tmp/got & s=$!
  log SUBACK
  for m in one two three; do mosquitto_pub --unix /tmp/m.sock -t a -m $m; done
  wait $s; echo sub $?; cat /tmp/got; kill $p; wait $p; echo stopped $?; grep -ciE 'error|fail' /tmp/log; rm -f /tmp/m.sock
done
"""

PY_PROCESSES = r"""
import multiprocessing as mp, os
from multiprocessing import shared_memory
def sq(x): return x * x
def put(q, l, v):
    for i in range(50):
        with l: v.value += 1
    q.put(os.getpid() > 0)
with mp.Pool(4) as p: print(sum(p.map(sq, range(1000))))
q, l, v = mp.Queue(), mp.Lock(), mp.Value('i', 0)
ps = [mp.Process(target=put, args=(q, l, v)) for _ in range(4)]
[p.start() for p in ps]
print(all(q.get() for _ in ps))
[p.join() for p in ps]
print(v.value, [p.exitcode for p in ps])
a, b = mp.Pipe()
p = mp.Process(target=lambda c: c.send([1, 'x']), args=(b,))
p.start(); print(a.recv()); p.join()
m = shared_memory.SharedMemory(create=True, size=4096)
m.buf[:3] = b'abc'
n = shared_memory.SharedMemory(m.name)
print(bytes(n.buf[:3])); n.close(); m.close(); m.unlink()
with mp.Manager() as man:
    d = man.dict()
    ps = [mp.Process(target=d.__setitem__, args=(i, i * i)) for i in range(3)]
    [p.start() for p in ps]; [p.join() for p in ps]
    print(sorted(d.items()))
e, s = mp.Event(), mp.Semaphore(0)
p = mp.Process(target=lambda: (s.acquire(), e.set()))
p.start(); print(e.is_set()); s.release(); print(e.wait(100)); p.join()
p = mp.Process(target=lambda: os.kill(os.getpid(), 9)); p.start(); p.join(); print(p.exitcode)
"""

PY_ASYNCIO = r"""
import asyncio, signal, os, socket, threading
P = '/tmp/a.sock'
async def echo(r, w):
    while (d := await r.readline()):
        w.write(d[::-1].strip() + b'\n'); await w.drain()
    w.close()
async def client(i):
    r, w = await asyncio.open_unix_connection(P)
    out = []
    for k in range(20):
        w.write(b'%d-%d\n' % (i, k)); await w.drain(); out.append(await r.readline())
    w.close()
    return len(out), out[-1]
async def main():
    s = await asyncio.start_unix_server(echo, P)
    print(await asyncio.gather(*[client(i) for i in range(30)]))
    s.close()
    p = await asyncio.create_subprocess_exec('sh', '-c', 'cat; exit 4', stdin=-1, stdout=-1)
    print(await p.communicate(b'in'), p.returncode)
    loop = asyncio.get_running_loop()
    print(await loop.run_in_executor(None, sum, range(10)))
    try: await asyncio.wait_for(asyncio.sleep(1000), 0.05)
    except asyncio.TimeoutError: print('timeout')
    got = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1); await got.wait(); print('signal')
    ps = [await asyncio.create_subprocess_shell(f'sleep 0.0{i}; exit {i}') for i in range(8)]
    print([await p.wait() for p in ps])
    r, w = await asyncio.open_connection(sock=socket.socketpair()[0])
    w.close()
asyncio.run(main())
a, b = socket.socketpair()
t = threading.Thread(target=lambda: [a.sendall(b'x' * 100000) for _ in range(50)] and a.close())
t.start(); n = 0
while (d := b.recv(65536)): n += len(d)
t.join(); print(n)
r, w = os.pipe()
socket.send_fds(b2 := socket.socketpair()[0], [b'x'], [r]); print('sent')
"""

PY_SUBPROCESS = r"""
import subprocess as sp, threading, os, signal, queue
print(sp.run(['sh', '-c', 'echo $0; echo e >&2; exit 2'], capture_output=True))
print(sp.check_output('tr a-z A-Z', shell=True, input=b'up'))
p = sp.Popen(['sleep', '1000']); p.terminate(); print(p.wait())
try: sp.run(['sleep', '1000'], timeout=0.1)
except sp.TimeoutExpired: print('timeout')
a = sp.Popen(['seq', '1', '1000'], stdout=sp.PIPE)
b = sp.Popen(['grep', '-c', '7'], stdin=a.stdout, stdout=sp.PIPE); a.stdout.close(); print(b.communicate())
try: sp.run(['/no/such'])
except FileNotFoundError as e: print(e.errno)
print(sp.run(['pwd'], cwd='/usr', env={'PATH': '/bin:/usr/bin'}, capture_output=True).stdout)
print(sp.run(['sh', '-c', 'ps -o sid | wc -l > /dev/null; echo ok'], start_new_session=True, capture_output=True).stdout)
r, w = os.pipe(); print(sp.run(['sh', '-c', f'echo via >&{w}'], pass_fds=[w]).returncode, os.read(r, 10))
q = queue.Queue()
def work(i): q.put(int(sp.check_output(['expr', str(i), '*', '2'])))
t = [threading.Thread(target=work, args=(i,)) for i in range(1, 21)]
[x.start() for x in t]; [x.join() for x in t]; print(sorted(q.queue))
l, c, n = threading.Lock(), threading.Condition(), [0]
def inc():
    for _ in range(2000):
        with l: n[0] += 1
t = [threading.Thread(target=inc) for _ in range(8)]; [x.start() for x in t]; [x.join() for x in t]; print(n)
"""

SQLITE = r"""
cd /tmp; q() { sqlite3 -cmd '.timeout 20000' x.db "$@"; }
q 'pragma journal_mode=wal; create table t(id integer primary key, who, v);'
w() { i=0; while [ $i -lt 10 ]; do q "begin immediate; insert into t(who,v) values('$1',$i); update t set v=v+1 where id%3=0; commit;"; i=$((i+1)); done; }
w a & w b & w c & (i=0; while [ $i -lt 10 ]; do q 'select count(*) from t' > /dev/null || echo read failed; i=$((i+1)); done) & wait
q 'select who, count(*) from t group by who; pragma integrity_check; pragma wal_checkpoint(truncate);'
stat -c %s x.db-wal 2>/dev/null; ls x.db*; sqlite3 y.db 'create table b(x blob); insert into b values(randomblob(3000000)); select length(x) from b; vacuum;'
sqlite3 y.db 'pragma journal_mode; pragma mmap_size=10000000; select length(x) from b;'
q .dump | md5sum | wc -l; cp x.db z.db; sqlite3 z.db 'pragma journal_mode=delete; delete from t; vacuum; select count(*) from t;'
"""

PERL = r"""
use strict; use warnings; use POSIX qw(:sys_wait_h); use Socket; use IO::Select; use File::Temp qw(tempdir); use Time::HiRes qw(usleep ualarm);
$| = 1; my $d = tempdir(CLEANUP => 1);
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die; my $p = fork;
if (!$p) { close $a; while (my $l = <$b>) { chomp $l; syswrite $b, reverse($l) . "\n"; } POSIX::_exit(5); }
close $b; for (1 .. 3) { syswrite $a, "line$_\n"; print scalar <$a>; } shutdown $a, 1; waitpid $p, 0; print $? >> 8, "\n";
local $SIG{ALRM} = sub { print "alarm\n" }; ualarm 50000; select undef, undef, undef, 5;
my $got = 0; local $SIG{CHLD} = sub { while ((my $k = waitpid -1, WNOHANG) > 0) { print "child ", $? >> 8, "\n"; $got++ } };
if (!fork) { exit 3 } my $n = 0; usleep 20000 while !$got && $n++ < 3000; $SIG{CHLD} = 'DEFAULT';
print `echo backquote; exit 2`; print $? >> 8, "\n";
open my $f, '>', "$d/f" or die; print $f join "\n", 1 .. 1000; close $f; open $f, '<', "$d/f"; my $s = 0; $s += $_ while <$f>; print "$s\n";
open my $q, '-|', 'sort', '-rn', "$d/f" or die; my @l = <$q>; print scalar @l, " $l[0]"; close $q;
opendir my $h, '/proc/self/fd'; print scalar(grep { /^\d+$/ } readdir $h) > 3 ? "fds\n" : "none\n";
print sprintf("%s %s\n", (getpwuid $<)[0], -d '/tmp' ? 'tmp' : ''); kill 0, $$ and print "alive\n"; exec 'sh', '-c', 'echo exec $0';
"""

# Job control needs a terminal: python's pty speaks to the shell as a person.
PY_JOBS = r"""
import os, pty, select, signal, sys, time, re
shell = sys.argv[1:]
pid, m = pty.fork()
if pid == 0:
    for s in signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP: signal.signal(s, signal.SIG_DFL)
    os.environ.update(PS1='$ ', PS2='> ', TERM='dumb', ENV='')
    os.execvp(shell[0], shell)
def read(until, limit=60):
    out, end = b'', time.time() + limit
    while until not in out and time.time() < end:
        if select.select([m], [], [], 0.2)[0]:
            try: out += os.read(m, 4096)
            except OSError: break
    return out.decode(errors='replace')
def say(text, until=b'MARK'):
    os.write(m, text.encode()); return read(until)
def facts(name, text, *want):
    text = text.replace('\r', ''); print(name, [w for w in want if re.search(w, text)])
say('stty -echo; set -m; echo MA""RK\n')
facts('echo', say('echo hello; echo MA""RK\n'), 'hello')
os.write(m, b'sleep 30\n'); time.sleep(0.7); os.write(m, b'\x1a')
facts('stopped', read(b'topped'), 'topped')
facts('jobs', say('jobs; echo MA""RK\n'), 'topped', 'sleep 30')
facts('bg', say('bg; jobs; echo MA""RK\n'), 'sleep 30')
os.write(m, b'fg\n'); time.sleep(0.7); os.write(m, b'\x03'); time.sleep(0.5)
facts('fg', say('echo status $?; echo MA""RK\n'), 'status 130')
facts('kill', say('sleep 30 & sleep 0.5; kill $!; wait $!; echo killed $?; echo MA""RK\n'), 'killed 143')
os.write(m, b'cat\n'); time.sleep(0.5); os.write(m, b'typed\n\x04'); time.sleep(0.3)
facts('cat', say('echo after; echo MA""RK\n'), 'typed', 'after')
os.write(m, b'cat | cat\n'); time.sleep(0.5); os.write(m, b'\x1c'); time.sleep(0.5)
facts('quit', say('echo status $?; echo MA""RK\n'), 'status 131')
os.write(m, b'cat &\n'); time.sleep(0.7)
facts('ttin', say('jobs; kill -9 $!; wait; echo MA""RK\n'), 'topped')
os.write(m, b'exit 7\nexit 7\n'); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

REAP = UNTIL + r"""
mkfifo /tmp/f /tmp/g; i=0; while [ $i -lt 30 ]; do (sh -c 'exit 3' & exec sh -c : ) & i=$((i+1)); done; wait
(sh -c 'read x < /tmp/f; exit 1' &); (setsid sh -c 'read x < /tmp/g' &); (echo > /tmp/f); (echo > /tmp/g)
until_ 'set -- /proc/[0-9]*; [ $# = 1 ]'; set -- /proc/[0-9]*; echo left $#
z=$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l); echo zombies $z; echo $$
"""

SHELL = UNTIL + r"""
script -qec 'tty > /dev/null && echo on a tty; stty size; test -t 0 && echo in; exit 6' /dev/null | tr -d '\r'; echo ${PIPESTATUS[0]}
dash -c 'trap "echo t" USR1; kill -USR1 $$; (exit 4); echo $?; echo $(printf %s a b)'
set -m; sleep 1000 & kill -STOP %1; until_ '[ "$(jobs -s | wc -l)" = 1 ]'
jobs -s | wc -l; kill -CONT %1; kill %1; wait %1 2>/dev/null; echo $?; set +m
ps -e -o comm= | sort -u | grep -c bash; (ulimit -f 1; head -c 3000 /dev/zero > /tmp/big 2>/dev/null; echo $?) 2>/dev/null
exec 3< <(echo sub); cat <&3; coproc tr a-z A-Z; exec 4<&${COPROC[0]}; echo hey >&${COPROC[1]}; eval "exec ${COPROC[1]}>&-"; cat <&4
timeout --foreground 0.2 sleep 1000; echo $?; nice -n 5 nice; env -i sh -c 'echo $PATH | wc -c'; mkfifo /tmp/p; (echo f > /tmp/p &); read x < /tmp/p; echo $x
"""

APPLETS = r"""
cd /tmp; seq 1 50 > n; printf 'b\na\nc\na\n' > t; mkdir -p d/e; echo x > d/e/f; printf 'k v\nk2 v2\n' > kv; ln -s n l
run() { echo "== $1"; sh -c "$1" < /dev/null 2>&1; echo "-- $?"; }
while read -r line; do run "$line"; done <<'X'
[ 1 = 1 ]
[[ a = a ]]
ascii | head -3
awk '{s+=$1} END {print s}' n
base64 n | head -1
basename /a/b.c .c
echo '2^10' | bc
seq 3 | bzip2 | bunzip2
seq 3 | bzip2 | bzcat
cal 1 2024
cat n | head -2
chmod 640 t; stat -c %a t
chown 3:4 t; stat -c %u:%g t
chgrp 9 t; stat -c %g t
chroot / /bin/true
cmp n t
cp -a d d2; find d2 | sort
echo n | cpio -o -H newc 2>/dev/null | cpio -t
crc32 n
cut -d' ' -f2 kv
date -u -d @86400 +%F
echo '3 4 + p' | dc
dd if=n of=n2 bs=10 count=2; cat n2
diff n t | wc -l
dirname /a/b
printf 'a\r\n' | dos2unix | od -c
du -s d | cut -f2
printf 'p\nq\n' | ed t
egrep '^[12]$' n
env -i A=1 env
printf 'a\tb' | expand
expr 6 '*' 7
factor 360
fallocate -l 100 fa; stat -c %s fa
false
fgrep 5 n | head -1
find . -name f -type f
echo aaaaaaaaaa bbbbbbbb | fold -w 6
getopt ab: -a -b x y
grep -c 1 n
groups root
seq 3 | gzip | gunzip
seq 3 | gzip | zcat
head -n 2 n
hexdump -C t
hostid | wc -c
id -u
install -m 600 n in; stat -c %a in
ionice -c 3 true
kill -l 9
killall -q nothing
less t
printf 'ln1\n' | link n ln2; stat -c %h n
ln -f n hard; stat -c %h hard
logname 2>/dev/null; true
ls -R d
seq 3 | lzop | lzop -d
md5sum n
mkdir -m 700 md; stat -c %a md
mkfifo ff; stat -c %F ff
mknod nn p; stat -c %F nn
mkpasswd -m md5 -S saltsalt pw
mktemp -u x.XXXXXX | wc -c
mount | grep -c ' / '
mountpoint / 2>&1 | wc -l
mv n2 n3; ls n3
(sleep 1000; exit 1) & nc -lU /tmp/nc 2>&1 | head -1; kill $!
nl t
nice -n 3 nice
nohup echo hup
nproc | wc -l
nuke zz; true
od -An -tx1 t
seq 3 | paste -s -d+
printf '1c1\n< a\n---\n> b\n' | patch --dry-run t 2>&1 | wc -l
pidof nothing
printf '%d %s\n' 5 x
ps | wc -l | grep -c .
pwd
readlink l
realpath l
renice 2 $$ 2>&1 | wc -l
rev t
rm n3; ls n3
rmdir md
run-parts d
sed -n '2p' n
seq -s, 4
setpriv --dump 2>&1 | head -1 | cut -d: -f1
setsid echo sid
setuidgid 1 true 2>/dev/null; true
sha1sum n
sha256sum n
sha3sum n
sha512sum n
shred -u -n 1 in; ls in
seq 5 | shuf | sort | paste -s
sleep 0.01
sort t | uniq -c
stat -c '%s %F' n
strings n | head -1
stty -F /dev/null
sync
sysctl -n kernel.ostype
tac t
tail -n 2 n
tar cf a.tar d; tar tf a.tar
taskset 1 true
tee te < t; cmp te t
test -d d
time -p true 2>&1 | wc -l
timeout 1000 true
timeout 0.1 sleep 1000
touch -d @1000 tt; stat -c %Y tt
echo abc | tr a-c x-z
true
truncate -s 77 tr; stat -c %s tr
seq 3 | ts x | cut -c1
tty
uname -s
seq 2 | compress 2>/dev/null | uncompress 2>/dev/null; true
echo '        b' | unexpand -a
uniq t
printf 'a\n' | unix2dos | od -c
unlink ln2; ls ln2
seq 3 | xz 2>/dev/null | unxz; true
unzip -l n 2>&1 | wc -l
usleep 1000
uuencode x < t | uudecode -o -
watch -t -n 1000 'echo ran > ran' > seen & until [ -s ran ]; do usleep 1000; done; kill $!; head -c 6 seen | od -c
wc n
which sh
whoami
seq 4 | xargs -n 2 echo
xxd t
printf 'a.b' | xxd -p
yes y | head -2
cttyhack echo c
flock n echo locked 2>/dev/null; true
start-stop-daemon -S -x /bin/true
svok d
fsync n
dpkg -l nothing 2>&1 | wc -l
ar t n 2>&1 | wc -l
arch | wc -l
blkdiscard n 2>&1 | wc -l
chvt 1 2>&1 | wc -l
clear | wc -c
deallocvt 2>&1 | wc -l
dmesg > /dev/null
fatattr n 2>&1 | wc -l
free | wc -l
df / | wc -l
uptime | wc -l
who
w | wc -l
users 2>/dev/null; true
last 2>/dev/null; true
hostname | wc -l
dnsdomainname 2>/dev/null; true
top -bn1 | grep -c '^Mem'
lsmod 2>/dev/null | head -1 | wc -l
mesg 2>/dev/null; true
nsenter true 2>/dev/null; true
unshare true 2>/dev/null; true
vi -c q n > /dev/null 2>&1; true
printf 'w\n' | ed n > /dev/null 2>&1; true
X
"""


def cases(Case):
    sh = lambda name, image, script, **more: Case(name, image, "sh", "-c", script, **more)  # noqa: E731
    py = lambda name, script, *args, **more: Case(name, "python3", "python3", "-c", script, *args, **more)  # noqa: E731
    redis_out = (r"errors: 0, replies: 2000\nsaved\nbad 0\nno growth\nstopped 0\nsame data\nvalue-1936\nstopped 0\n")
    return [
        sh("redis_bgsave", "redis", REDIS.replace("SECONDS_OF_LOAD", str(LOAD_S)), code=0, out=redis_out, load=True,
           limit=LOAD_S + 20),
        sh("nginx_reload", "nginx", NGINX, load=True),
        sh("mosquitto", "mosquitto", MOSQUITTO, load=True),
        py("py_multiprocessing", PY_PROCESSES, load=True),
        py("py_asyncio", PY_ASYNCIO, load=True),
        py("py_subprocess_threads", PY_SUBPROCESS, load=True),
        Case("sqlite_wal", "sqlite", "-c", SQLITE, flags=["--entrypoint", "sh"], entry=["sh"], load=True),
        Case("perl", "perl", "perl", "-e", PERL, "--", load=True),
        Case("jobs_ash", "jobs", "python3", "-c", PY_JOBS, "sh", load=True),
        Case("jobs_bash", "jobs", "python3", "-c", PY_JOBS, "bash", "--norc", "--noediting", load=True),
        Case("jobs_dash", "jobs", "python3", "-c", PY_JOBS, "dash", load=True),
        Case("shell_reaps", "busybox", "sh", "-c", REAP),
        Case("shell_tools", "shell", "bash", "-c", SHELL, load=True),
        sh("applets", "busybox", APPLETS, load=True),
        Case("go_threads_many", "gostatic", "many", flags=["-u", "0"], load=True),
        Case("rust_processes", "ruststatic", "processes", load=True),
    ]
