//! Clients that mean ill, beside one that does not.

use super::room::Room;

rnets!(slow_connections, garbage, heavy_flood, waiting_for_nothing, a_connection_ends_with_its_network);

const NET: &str = "10.0.0.1\naa 10.0.0.2  one\nab 10.0.0.3  two\n";

fn slow_connections(room: &Room) {
    room.write("net", NET);
    room.start();
    let busy = room.python(
        "slow = []\n\
         for n in range(200):\n    \
             sock = connected('10.0.0.2'); sock.sendall(b'\\0\\x40x'); slow.append(sock)\n\
         start = time.monotonic()\n\
         sock = connected('10.0.0.3'); message = query('one')\n\
         sock.sendall(struct.pack('!H', len(message)) + message)\n\
         equal(Got(receive_tcp(sock)).addresses, ['10.0.0.2'])\n\
         check(time.monotonic() - start < 1, 'the other client waited')\n\
         for sock in slow:\n    \
             sock.settimeout(6)\n    \
             try: equal(sock.recv(9), b'')\n    \
             except ConnectionResetError: pass\n\
         check(time.monotonic() - start < 5, 'slow clients are kept')\n\
         for n in range(50):\n    \
             sock = connected('10.0.0.2'); sock.sendall(b'\\0\\x3c'); sock.close()\n\
         time.sleep(0.5)\n\
         equal(asked(client('10.0.0.2'), query('two')).addresses, ['10.0.0.3'])\n\
         pid = open('/tmp/names/aardvark.pid').read()\n\
         used = lambda: sum(int(n) for n in open(f'/proc/{pid}/stat').read().split()[13:15])\n\
         before = used(); time.sleep(2)\n\
         print(used() - before)\n",
    );
    assert!(busy.parse::<u32>().unwrap() < 10, "it is busy with nothing: {busy} ticks in two seconds");
}

fn garbage(room: &Room) {
    room.write("net", NET);
    room.start();
    room.python(
        "rng = random.Random(7)\n\
         noisy, good = client('10.0.0.2'), client('10.0.0.3')\n\
         for n in range(20_000):\n    \
             message = bytearray(query('one', edns=1232) if n % 2 else rng.randbytes(rng.randrange(600)))\n    \
             for _ in range(rng.randrange(4)):\n        \
                 if message: message[rng.randrange(len(message))] = rng.randrange(256)\n    \
             noisy.send(bytes(message))\n    \
             if n % 1000 == 0: equal(asked(good, query('one')).addresses, ['10.0.0.2'])\n\
         for n in range(100):\n    \
             sock = connected('10.0.0.2')\n    \
             try: sock.sendall(rng.randbytes(300)); sock.shutdown(socket.SHUT_WR); sock.recv(999)\n    \
             except OSError: pass\n    \
             sock.close()\n\
         equal(asked(good, query('one')).addresses, ['10.0.0.2'])\n",
    );
    room.eventually(|| room.short("10.0.0.3", "@10.0.0.1 one"), "10.0.0.2");
}

/// A hundred thousand queries as fast as they can be sent, of which nobody reads the answers.
fn heavy_flood(room: &Room) {
    room.write("net", NET);
    room.start();
    let memory = room.python(
        "import multiprocessing\n\
         def flood():\n    \
             sock = client('10.0.0.2')\n    \
             for n in range(100_000): sock.send(query(f'x{n}.example' if n % 2 else 'one'))\n\
         flooding = multiprocessing.Process(target=flood); flooding.start()\n\
         good, lost = client('10.0.0.3', timeout=1), 0\n\
         while flooding.is_alive():\n    \
             try: equal(asked(good, query('one')).addresses, ['10.0.0.2'])\n    \
             except TimeoutError: lost += 1\n\
         check(lost < 5, f'{lost} queries had no answer')\n\
         equal(asked(client('10.0.0.3', timeout=5), query('one')).addresses, ['10.0.0.2'])\n\
         pid = open('/tmp/names/aardvark.pid').read()\n\
         print([line.split()[1] for line in open(f'/proc/{pid}/status') if line.startswith('RssAnon')][0])\n",
    );
    assert!(memory.parse::<u32>().unwrap() < 16 << 10, "{memory} KiB");
}

/// One client that has all its queries wait for a server that says nothing does not keep another one waiting.
fn waiting_for_nothing(room: &Room) {
    room.bed.names_server(
        crate::bed::Side::Host,
        "serve('127.0.1.1', lambda message, via: [answer(message, address('192.0.2.1'))] if b'good' in message else [])",
    );
    room.bed.resolv_conf("nameserver 127.0.1.1\n");
    room.write("net", NET);
    room.start();
    room.python(
        "noisy = client('10.0.0.2')\n\
         for n in range(5000): noisy.send(query(f'x{n}.example')); n % 50 or time.sleep(0.001)\n\
         start = time.monotonic()\n\
         equal(asked(client('10.0.0.3'), query('good.example')).addresses, ['192.0.2.1'])\n\
         check(time.monotonic() - start < 1, 'the other client waited')\n\
         codes = set()\n\
         noisy.settimeout(0.5)\n\
         try:\n    \
             while True: codes.add(Got(noisy.recv(999)).rcode)\n\
         except TimeoutError: pass\n\
         equal(codes, {SERVFAIL})\n",
    );
}

/// What is numbered anew afterwards must not be told to whom it does not belong.
fn a_connection_ends_with_its_network(room: &Room) {
    room.write("net", NET);
    room.write("more", "10.0.1.1\nba 10.0.1.2  three\n");
    room.start();
    room.python(
        "sock = connected('10.0.1.2', '10.0.1.1'); message = query('three')\n\
         sock.sendall(struct.pack('!H', len(message)) + message)\n\
         equal(Got(receive_tcp(sock)).addresses, ['10.0.1.2'])\n\
         import os, signal\n\
         os.remove('/tmp/names/more')\n\
         open('/tmp/names/next', 'w').write('10.0.2.1\\nca 10.0.2.2  three\\n')\n\
         os.kill(int(open('/tmp/names/aardvark.pid').read()), signal.SIGHUP)\n\
         for _ in range(100):\n    \
             try: equal(asked(client('10.0.2.2', '10.0.2.1', 0.1), query('three')).addresses, ['10.0.2.2']); break\n    \
             except OSError: time.sleep(0.02)\n\
         sock.sendall(struct.pack('!H', len(message)) + message)\n\
         equal(sock.recv(9), b'')\n",
    );
}
