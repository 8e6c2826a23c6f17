# SPDX-License-Identifier: Apache-2.0
"""The list of cases every platform runs (kvm here, an emulated SVM host, QEMU
without KVM, arm64 later). A case is a command in an image. Unless it says what
to expect, the oracle is the host's own kernel: the same command in the same
files under chroot must give the same stdout, stderr and exit code. Cases wait
for events (a fifo, a state in /proc), never for time: a host may be a hundred
times slower than this one and stall for seconds."""
import os

import programs
import servers

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "?")
OTHER = "arm64" if ARCH == "amd64" else "amd64"
BREADTH = ("redis", "nginx", "mosquitto", "perl", "shell", "jobs", "node", "sshd", "postgres", "java")


class Case:
    def __init__(self, name, image, *cmd, flags=(), stdin=None, code=None, out=None, err=None,
                 smoke=False, native=True, slow=False, lines=False, foreign=False, entry=None,
                 limit=0, load=False, only=(None, None)):
        self.name, self.image, self.cmd = name, image, list(cmd)
        self.flags, self.stdin = list(flags), stdin
        self.code, self.out, self.err = code, out, err  # out, err: regular expressions
        self.smoke, self.slow = smoke, slow
        self.only = only[0]  # the one architecture it is about; only[1] says why
        self.foreign = foreign  # an image of another platform
        self.lines = lines  # judged line by line, with guest/conform/expect.cfg
        self.entry = entry  # what the image's entrypoint is, if not as usual
        self.limit = limit  # seconds more than usual
        self.load = load  # seconds long: by name, or when LIMPET_LOAD_S is set
        # Of the system calls and the programs, not of the platform.
        self.breadth = lines or image in BREADTH
        self.native = native and out is None and code is None


def sh(name, script, **more):
    return Case(name, "busybox", "sh", "-c", script, **more)


def bash(name, script, **more):
    return Case(name, "bash", "bash", "-c", script, **more)


def python(name, script, **more):
    return Case(name, "python3", "python3", "-c", script, **more)


CASES = [
    # --- one program ---
    Case("hello", "cstatic", smoke=True),
    Case("exit_code", "cstatic", "7", smoke=True),
    Case("frames", "frames", smoke=True, only=("amd64", "registers and frames of x86-64")),
    Case("frames_arm64", "frames", smoke=True, only=("arm64", "the same of arm64"), code=0,
         out="frames: all right\n"),
    Case("frames_arm64_smp", "frames", flags=["--vcpus", "2"], smoke=True, only=("arm64", "the same on two CPUs"), code=0,
         out="frames: all right\n"),
    sh("stdout_stderr", "echo out; echo err >&2; exit 3", smoke=True),
    sh("stdin", "cat; echo end", stdin="one\ntwo\n", smoke=True),
    sh("stdin_large", "md5sum", stdin="0123456789abcdef\n" * 60000),
    sh("stdout_large", "seq 1 200000"),
    sh("no_stdin", "cat; echo $?"),
    sh("signal_segv_child", "sh -c 'kill -SEGV $$'; echo $?"),
    Case("not_found", "busybox", "/no/such/program", code=127, err="no such file or directory"),
    Case("not_found_path", "busybox", "nosuchprogram", code=127, err="not found in"),
    Case("not_executable", "busybox", "/etc/passwd", code=126, err="permission denied"),
    Case("directory", "busybox", "/etc", code=126, err="permission denied|is a directory"),
    Case("other_platform", f"only{OTHER}", "x", foreign=True, smoke=True, code=125, out="",
         err=f"linux/{ARCH}.*linux/{OTHER}"),
    sh("env", "env | sort", flags=["-e", "A=1", "-e", "B=two words"], native=False, code=0,
       out=r"A=1\nB=two words\nHOME=/root\nHOSTNAME=[0-9a-f]{12}\nPATH=[^\n]*\n(PWD=/\n)?(SHLVL=\d\n)?"),
    Case("workdir", "busybox", "sh", "-c", "pwd", flags=["-w", "/tmp/new/dir"], code=0, out="/tmp/new/dir\n"),
    Case("user_name", "busybox", "id", flags=["-u", "app"], code=0,
         out=r"uid=1000\(app\) gid=1000\(app\) groups=.*video.*\n"),
    Case("user_number", "busybox", "id", flags=["-u", "12:34"], code=0, out="uid=12 gid=34.*\n"),
    Case("hostname", "busybox", "sh", "-c", "hostname; cat /etc/hostname; grep -c box /etc/hosts",
         flags=["--hostname", "box"], code=0, out="box\nbox\n1\n"),
    Case("memory", "busybox", "awk", "/MemTotal/ {print ($2 > 56000 && $2 <= 65536)}",
         "/proc/meminfo", flags=["-m", "64m"], code=0, out="1\n"),
    Case("cpus", "busybox", "grep", "-c", "^processor", "/proc/cpuinfo", flags=["--vcpus", "1"],
         code=0, out="1\n"),
    Case("pid1", "busybox", "sh", "-c", "echo $$; ls -d /proc/[0-9]* | head -3", code=0,
         out="1\n/proc/1\n(/proc/\\d+\n)*"),
    # --- shells: pipes, jobs, traps ---
    sh("pipes", "seq 1 1000 | grep 7 | sort -rn | head -3 | tr 7 x", smoke=True),
    sh("pipe_status", "set -o pipefail; false | true; echo $?; true | sh -c 'exit 4'; echo $?"),
    sh("background", "sleep 0.2 & p=$!; wait $p; echo done $?; (exit 9) & wait $!; echo $?", smoke=True),
    sh("jobs_many", "for i in 1 2 3 4 5 6 7 8; do (sleep 0.1; echo $i > /tmp/j$i) & done; wait; cat /tmp/j*; echo all"),
    sh("trap_term", "trap 'echo got term' TERM; kill -TERM $$; echo after"),
    sh("trap_exit", "trap 'echo bye' EXIT; echo hi; exit 5"),
    sh("trap_child", "mkfifo /tmp/f; sh -c 'trap \"echo usr1; exit 3\" USR1; echo > /tmp/f; while :; do sleep 0.05; done' & "
       "read x < /tmp/f; kill -USR1 $!; wait $!; echo $?"),
    sh("subshell", "x=1; (x=2; echo $x); echo $x; echo $(echo nested $(echo deep))"),
    sh("here_doc", "cat <<X\nline $((6*7))\nX"),
    sh("sigpipe", "yes | head -1; echo ok"),
    sh("heavy_fork", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done; echo $i"),
    sh("exec_replaces", "exec echo replaced; echo not here"),
    sh("script_shebang", "printf '#!/bin/sh -e\\necho script $0 $1\\n' > /tmp/s; chmod +x /tmp/s; /tmp/s arg"),
    sh("shebang_missing", "printf '#!/no/interp\\n' > /tmp/s; chmod +x /tmp/s; /tmp/s; echo $?", native=False,
       code=0, out="127\n"),
    sh("orphans", "mkfifo /tmp/f /tmp/g; (sh -c 'read x < /tmp/f; echo orphan; echo > /tmp/g' &); echo > /tmp/f; "
       "read x < /tmp/g; echo parent"),
    sh("ulimit", "ulimit -n 20; ulimit -n; ulimit -c"),
    # --- files ---
    sh("files", "cd /tmp; echo a > f; ln f g; ln -s f s; cat s; stat -c '%h %s %F' f; mv g h; rm f; cat h; ls"),
    sh("dirs", "cd /tmp; mkdir -p a/b/c; touch a/b/c/f; find a | sort; rmdir a/b/c 2>/dev/null; echo $?; rm -r a; ls"),
    sh("rename_over", "cd /tmp; echo 1 >a; echo 2 >b; mv a b; cat b; mkdir d e; touch d/x; mv d e; ls e/d"),
    sh("overlay_write", "echo more >> /etc/passwd; tail -1 /etc/passwd; rm /etc/group; ls /etc/group; "
       "mkdir /etc/group; touch /etc/group/x; ls /etc/group"),
    sh("overlay_rename", "mv /etc/passwd /etc/p2; cat /etc/passwd; head -1 /etc/p2; mv /usr/share /usr/s2; ls /usr/s2 | head -2"),
    sh("rm_image_tree", "rm -rf /usr/share /etc; ls /usr /etc 2>/dev/null | sort | head -20"),
    sh("large_file", "dd if=/dev/zero of=/tmp/z bs=1M count=20 2>/dev/null; stat -c %s /tmp/z; md5sum /tmp/z; "
       "dd if=/tmp/z bs=1M skip=19 2>/dev/null | wc -c"),
    sh("sparse", "dd if=/dev/zero of=/tmp/z bs=1 count=1 seek=100M 2>/dev/null; stat -c '%s' /tmp/z; "
       "tail -c 3 /tmp/z | od -An -tx1"),
    sh("modes", "cd /tmp; umask 027; touch f; mkdir d; stat -c '%a' f d; chmod 4711 f; stat -c %a f; chown 5:6 f; stat -c '%u %g %a' f"),
    sh("perm_denied", "echo s > /tmp/secret; chmod 600 /tmp/secret; cat /tmp/secret; echo $?", native=False, code=0,
       out="s\n0\n"),
    Case("perm_denied_user", "busybox", "sh", "-c", "cat /root/x; echo $?; ls /root; echo $?; touch /etc/x; echo $?",
         flags=["-u", "1000"], code=0, out="1\n[01]\n1\n"),
    sh("devices", "echo x > /dev/null; head -c 4 /dev/zero | od -An -tx1; head -c 9 /dev/urandom | wc -c; "
       "echo full > /dev/full; echo $?; test -c /dev/tty && echo tty"),
    sh("fifo", "mkfifo /tmp/p; (echo through > /tmp/p) & cat /tmp/p; wait"),
    sh("proc_self", "readlink /proc/self/exe; tr '\\0' ' ' < /proc/self/cmdline; echo; grep -E '^(Name|State)' /proc/self/status; "
       "readlink /proc/self/cwd"),
    Case("enospc", "busybox", "sh", "-c", "dd if=/dev/zero of=/tmp/z bs=1M; echo $?", flags=["-m", "64m"],
         code=0, out="1\n", err="No space left on device"),
    Case("corner_tree", "corner", "sh", "-c", "cat /d/b /keep/hard; ls /d /opaque; cat /many/file0123", code=0,
         out="changed\n1\n/d:\nb\n\n/opaque:\nnew\n123\n"),
    # --- faults stay inside ---
    Case("oom", "busybox", "sh", "-c", "head -c 200m /dev/zero | tail > /dev/null; echo after $?",
         flags=["-m", "64m"], code=0, out="after (137|1)\n",
         err=r"limpet: guest out of memory: killed \w+ \(pid \d+\)"),
    Case("oom_count", "busybox", "sh", "-c", "grep oom_kill /proc/vmstat; tail /dev/zero; grep oom_kill /proc/vmstat",
         flags=["-m", "64m"], code=0, out="oom_kill 0\noom_kill 1\n",
         err=r"(Killed\n)?limpet: guest out of memory: killed \w+ \(pid \d+\)"),
    Case("oom_main", "busybox", "tail", "/dev/zero", flags=["-m", "64m"], code=137,
         err=r"limpet: guest out of memory: killed tail \(pid 1\)"),
    # No loader's leavings in memory that is new to a program.
    python("fresh_memory", "import mmap\nm=mmap.mmap(-1, 42<<20, mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS)\n"
           "print([i for i in range(0, len(m), 4096) if m[i:i+4096].strip(b'\\0')])", flags=["-m", "64m"], smoke=True),
    # Programs without end get an error inside 64 MiB, and the VM goes on.
    # A bomb may burn for a minute: then it is put out, by what needs no fork.
    Case("bomb_fork", "busybox", "sh", "-c", """
mkfifo /tmp/p; f() { f & f; }; (f) 2>/dev/null; i=0
until kill -9 -1 2>/dev/null; read a b c n d < /proc/loadavg; [ ${n#*/} -lt 10 ] || [ $i = 120 ]; do read -t 1 x <> /tmp/p; i=$((i+1)); done
sh -c 'echo alive'
""", flags=["-m", "64m"], code=0, out="alive\n"),
    Case("bomb_threads", "python3", "python3", "-c", """
import threading
threading.stack_size(131072); e = threading.Event(); ts = []
try:
    for i in range(40000): t = threading.Thread(target=e.wait); t.start(); ts.append(t)
except RuntimeError as x: print(x)
limit = int(open("/proc/sys/kernel/threads-max").read())
print(len(ts) < limit); e.set(); [t.join() for t in ts]
t = threading.Thread(target=print, args=("alive",)); t.start(); t.join()
""", flags=["-m", "64m"], code=0, out="can't start new thread\nTrue\nalive\n"),
    Case("bomb_children", "python3", "python3", "-c", """
import os, signal
kids = []
try:
    while True:
        p = os.fork()
        if p == 0: b = bytearray(2 << 20); signal.pause()
        kids.append(p)
except OSError as x: print(x.errno in (11, 12), len(kids) < 40000, flush=True)
for k in kids: os.kill(k, 15)
ends = {os.waitpid(k, 0)[1] for k in kids}
print(9 in ends, ends <= {9, 15}, flush=True); os._exit(os.system("echo alive"))
""", flags=["-m", "64m"], code=0, out="True True\nTrue True\nalive\n", err="killed python3"),
    Case("bomb_open", "python3", "python3", "-c", """
import errno, os, resource
def every(fn):
    fds = []; e = 0
    while e == 0:
        try: fds += fn()
        except OSError as x: e = x.errno
    for f in fds: os.close(f)
    print(errno.errorcode[e], len(fds))
def full():
    r, w = os.pipe(); os.write(w, b"x" * 65536); return [r, w]
def null(): return [os.open("/dev/null", 0)]
every(null); resource.setrlimit(resource.RLIMIT_NOFILE, (200000, 200000)); every(full); every(null)
""", flags=["-m", "64m"], code=0, out="EMFILE 1021\nENOMEM \\d+\nEMFILE 1999\\d\\d\n"),
    Case("bomb_map", "python3", "python3", "-c", """
import ctypes, errno
l = ctypes.CDLL(None, use_errno=True); p = ctypes.c_void_p; z = ctypes.c_size_t
l.mmap.restype = p; l.mmap.argtypes = [p, z, ctypes.c_int, ctypes.c_int, ctypes.c_int, z]; l.mprotect.argtypes = [p, z, ctypes.c_int]
def map(size): return l.mmap(None, size, 3, 0x4022, -1, 0)
def error(): return errno.errorcode[ctypes.get_errno()]
at = map(1 << 30); n = 0
while l.mprotect(at + n * 8192, 4096, 1) == 0: n += 1
print(error(), n)
n = 0
while map(1 << 40) != 2 ** 64 - 1: n += 1
print(error(), n)
""", flags=["-m", "64m"], code=0, out="ENOMEM 32\\d\\d\\d\nENOMEM \\d+\n"),
    # --- bash ---
    bash("bash_hello", "echo $BASH_VERSION | cut -c1-3; echo {1..5}", smoke=True),
    bash("bash_arrays", "a=(x y z); echo ${a[@]:1}; declare -A m=([k]=v); echo ${m[k]}; printf '%q\\n' 'a b'"),
    bash("bash_procsub", "cmp <(seq 1 5) <(seq 1 6); while read l; do echo got $l; done < <(seq 1 3)"),
    bash("bash_coproc", "coproc cat; echo hi >&${COPROC[1]}; read -u ${COPROC[0]} x; echo $x"),
    bash("bash_wait_n", "mkfifo /tmp/f; read x < /tmp/f & (exit 3) & wait -n; echo $?; echo > /tmp/f; wait; echo $?"),
    bash("bash_timeout", "timeout 0.2 sleep 1000; echo $?; { timeout -s KILL 0.2 sleep 1000; } 2>/dev/null; echo $?"),
    bash("bash_trap_int", "trap 'echo int' INT; kill -INT $$; sleep 0.1; echo go on"),
    bash("bash_read_timeout", "read -t 0.2 x; echo $((x+1)) $(($? > 0))"),
    bash("coreutils", "cd /tmp; seq 1 100 | shuf --random-source=/bin/bash | sort -n | sha256sum; "
         "truncate -s 5000 f; split -b 2000 f; ls x*; cp -a /etc/passwd p; cmp p /etc/passwd; stat -c %s xac; "
         "date -u -d @0 +%F; numfmt --to=iec 1048576; basename /a/b; od -c <<< hi; tac <<< $'1\\n2'"),
    # --- python, sqlite, Go, Rust ---
    python("py_hello", "print('hello', 6*7)", smoke=True),
    python("py_files", "import os,json,tempfile\nd=tempfile.mkdtemp()\np=os.path.join(d,'f')\n"
           "open(p,'w').write(json.dumps({'a':[1,2]}))\nprint(json.load(open(p)), os.path.getsize(p), os.listdir(d))"),
    python("py_subprocess", "import subprocess\nprint(subprocess.run(['echo','x'],capture_output=True).stdout)\n"
           "print(subprocess.run(['sh','-c','exit 3']).returncode)"),
    python("py_threads", "import threading\nr=[]\nt=[threading.Thread(target=lambda i=i:r.append(i*i)) for i in range(20)]\n"
           "[x.start() for x in t];[x.join() for x in t]\nprint(sorted(r))"),
    python("py_signal", "import signal,os\nsignal.signal(signal.SIGUSR1,lambda s,f:print('sig',s))\n"
           "os.kill(os.getpid(),signal.SIGUSR1)\ngot=[]\n"
           "signal.signal(signal.SIGALRM,lambda s,f:got.append(1) or len(got)>1 or print('alarm'))\n"
           "signal.setitimer(signal.ITIMER_REAL,.1,.1)\nsignal.pause()"),
    # As many descriptors as fs.nr_open says, which a host may not allow.
    python("py_many_files", "import os,resource,fcntl\nn=1<<20\nresource.setrlimit(resource.RLIMIT_NOFILE,(n,n))\n"
           "print(os.dup2(1,n-1),fcntl.fcntl(1,fcntl.F_DUPFD_CLOEXEC,300000))\n"
           "try: os.dup2(1,n)\nexcept OSError as e: print(e.errno)\n"
           "os.write(n-1,b'top\\n')\np=os.fork()\nif p==0: os.write(300000,b'child\\n'); os._exit(0)\nos.waitpid(p,0)\n"
           "print(max(map(int,os.listdir('/proc/self/fd'))))\nos.closerange(300000,n)\n"
           "print(max(map(int,os.listdir('/proc/self/fd')))<10)", code=0,
           out="top\nchild\n1048575 300000\n9\n1048575\nTrue\n"),
    python("py_fork_wait", "import os\np=os.fork()\nif p==0: os._exit(7)\nprint(os.waitstatus_to_exitcode(os.waitpid(p,0)[1]))"),
    python("py_mmap", "import mmap\nm=mmap.mmap(-1,1<<20)\nm[5:8]=b'abc'\nprint(m[4:9])\nf=open('/tmp/m','w+b')\nf.truncate(8192)\n"
           "n=mmap.mmap(f.fileno(),8192)\nn[4090:4100]=b'0123456789'\nn.flush()\nf.seek(4090)\nprint(f.read(10))"),
    python("py_select", "import os,select\nr,w=os.pipe()\ne=select.epoll()\ne.register(r,select.EPOLLIN)\nprint(e.poll(0.05))\n"
           "os.write(w,b'x')\nprint(e.poll(1)[0][1], select.select([r],[],[],0)[0]==[r])"),
    python("py_cpu_times", "import os\ndef stat():\n f=open('/proc/self/stat').read().rsplit(')',1)[1].split()\n"
           " return int(f[11]),int(f[12])\n"
           # A host that stalls counts that as time of whoever runs: one try of many.
           "def burn():\n a=c=os.times()\n while c.user<a.user+.1: sum(range(10**6)); c=os.times()\n"
           " return c.user-a.user>c.system-a.system\n"
           "print(any(burn() for i in range(20)))\na=os.times()\n"
           "f=open('/dev/zero','rb',0)\nb=bytearray(1<<20)\n"
           "while os.times().system<a.system+.1: f.readinto(b)\n"
           # What another call says is between two of times(2).
           "def between(c,x,d): print(c.user-.05<x[0]<d.user+.05, c.system-.05<x[1]<d.system+.05)\n"
           "c=os.times(); u,s=stat(); between(c,(u/100,s/100),os.times())\n"
           "import resource\nc=os.times(); r=resource.getrusage(resource.RUSAGE_SELF); between(c,r,os.times())\n"
           "if os.fork()==0: burn(); os._exit(0)\nos.wait()\nprint(os.times().children_user>.05)"),
    python("py_exception", "raise SystemExit(9)"),
    Case("sqlite", "sqlite", ":memory:", "create table t(a); insert into t values(1),(2),(3); select sum(a), sqlite_version()>'3' from t;"),
    Case("sqlite_file", "sqlite", "/tmp/x.db", "pragma journal_mode=wal; create table t(a); insert into t values(42); select * from t;"),
    Case("go_hello", "gostatic", "hello", flags=["-u", "0"], smoke=True),
    Case("go_threads", "gostatic", "threads", flags=["-u", "0"]),
    Case("go_exec", "gostatic", "exec", flags=["-u", "0"], code=0, out=r"hello uid 0 pid \d+\nerr <nil>\n"),
    Case("go_signal", "gostatic", "signal", flags=["-u", "0"]),
    Case("go_cat", "gostatic", "cat", "/etc/passwd", flags=["-u", "0"]),
    Case("rust_hello", "ruststatic", "a", "b", smoke=True),
    Case("rust_threads", "ruststatic", "threads"),
    Case("rust_exec", "ruststatic", "exec"),
    Case("rust_panic", "ruststatic", "panic", code=101, err="on demand"),
]

CONFORM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../guest/conform")
CASES += [Case("conform_" + name[:-2], "conform", "/glibc/" + name[:-2], lines=True)
          for name in sorted(os.listdir(CONFORM)) if name.endswith(".c")]
CASES += programs.cases(Case)
CASES += servers.cases(Case)
CASES.append(Case("conform_musl", "conform", "/all", "/musl", lines=True, slow=True, limit=300,
                  only=("amd64", "the cross build has no musl")))
