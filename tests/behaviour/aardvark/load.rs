//! Many containers, and changes while queries come.

use super::room::Room;

rnets!(a_thousand_containers, heavy_reload_under_load);

fn a_thousand_containers(room: &Room) {
    for network in 0..2 {
        let lines: String = (0..1000)
            .map(|n| format!("{n:064x} 10.1.{}.{} fd01::{n:x} name-{network}-{n},alias{n}\n", n >> 8, n & 255))
            .collect();
        room.write(&format!("net{network}"), &format!("10.0.{network}.1\nx{network} 10.0.{network}.2  me\n{lines}"));
    }
    room.start();
    let told = room.python(
        "import os, signal\n\
         sock = client('10.0.0.2')\n\
         for n in range(1000):\n    \
             equal(asked(sock, query(f'name-0-{n}')).addresses, [f'10.1.{n >> 8}.{n & 255}'])\n    \
             equal(asked(sock, query(f'ALIAS{n}.dns.podman')).addresses, [f'10.1.{n >> 8}.{n & 255}'])\n\
         equal(asked(sock, query('name-1-7.dns.podman')).rcode, NXDOMAIN)\n\
         pid = int(open('/tmp/names/aardvark.pid').read())\n\
         def took(lines):\n    \
             best = 9\n    \
             for attempt in range(20):\n        \
                 new = f'new{lines}-{attempt}'\n        \
                 open('/tmp/names/small', 'w').write(f'10.0.3.1\\n' + f'z 10.0.3.2  {new}\\n')\n        \
                 start = time.monotonic(); os.kill(pid, signal.SIGHUP)\n        \
                 probe = client('10.0.3.2', '10.0.3.1')\n        \
                 while True:\n            \
                     try:\n                \
                         if asked(probe, query(f'{new}.dns.podman')).addresses: break\n            \
                     except ConnectionRefusedError: pass\n        \
                 best = min(best, time.monotonic() - start)\n    \
             return best\n\
         large = took(1000)\n\
         for network in (0, 1): open(f'/tmp/names/net{network}', 'w').write(f'10.0.{network}.1\\nx{network} 10.0.{network}.2  me\\n')\n\
         os.kill(pid, signal.SIGHUP); time.sleep(0.3)\n\
         small = took(1)\n\
         print(int(large * 1e6), int(small * 1e6))\n",
    );
    let numbers: Vec<u32> = told.split(' ').map(|number| number.parse().unwrap()).collect();
    assert!(
        numbers[0] < 3 * numbers[1] + 1000,
        "a reload of one network costs {} µs among large ones, {} µs else",
        numbers[0],
        numbers[1]
    );
}

/// No answer is lost, and none is wrong, while networks change a thousand times.
fn heavy_reload_under_load(room: &Room) {
    room.write("net", "10.0.0.1\naa 10.0.0.2  one,stays\n");
    room.write("more", "10.0.1.1\nba 10.0.1.2  two\n");
    room.start();
    room.python(
        "import os, signal\n\
         pid = int(open('/tmp/names/aardvark.pid').read())\n\
         over, wrong, count = threading.Event(), [], [0]\n\
         def ask_on(name, where):\n    \
             sock = client(where)\n    \
             while not over.is_set():\n        \
                 try: got = asked(sock, query(name))\n        \
                 except OSError as error: wrong.append((name, repr(error))); return\n        \
                 count[0] += 1\n        \
                 good = {'stays': [['10.0.0.2']], 'turns': [['10.0.0.3'], ['10.0.0.4']]}[name]\n        \
                 if got.rcode or got.addresses not in good: wrong.append((name, got.rcode, got.addresses))\n\
         def text(n): return f'10.0.0.1\\naa 10.0.0.2  one,stays\\nab 10.0.0.{3 + n % 2}  turns\\n'\n\
         def put(name, text):\n    \
             open('/tmp/new', 'w').write(text); os.rename('/tmp/new', f'/tmp/names/{name}')\n\
         put('net', text(0)); os.kill(pid, signal.SIGHUP); time.sleep(0.2)\n\
         threads = [threading.Thread(target=ask_on, args=each) for each in (('stays', '10.0.0.2'), ('turns', '10.0.0.2'), ('stays', '10.0.0.5'))]\n\
         for thread in threads: thread.start()\n\
         for n in range(1000):\n    \
             put('net', text(n))\n    \
             if n % 2: put('extra', f'10.0.2.1\\nca 10.0.2.2  n{n}\\n')\n    \
             elif n: os.remove('/tmp/names/extra')\n    \
             os.kill(pid, signal.SIGHUP)\n    \
             time.sleep(0.002)\n\
         over.set()\n\
         for thread in threads: thread.join()\n\
         equal(wrong, [])\n\
         check(count[0] > 1000, count)\n\
         equal(int(open('/tmp/names/aardvark.pid').read()), pid)\n",
    );
}
