// What lies between a client and a server and lets answers through only so far.
import { connect, createServer } from 'node:net';

export class Relay {
    /** To the port of `server`, where it is then, for the life of a test. */
    static async open(t, server) {
        const relay = new Relay(server);
        await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
        t.after(() => relay.close());
        return relay;
    }

    constructor(to) {
        this.cuts = 0; // so many connections are broken
        this.after = 0; // so many bytes of answers,
        this.marker = undefined; // or behind this text
        this.held = false; // or are held there, until it is false again
        this.asked = 0; // bytes that clients have sent,
        this.stalled = false; // which are not passed on
        this.sockets = new Set();
        this.server = createServer((client) => this.#connect(client, to.port));
    }

    get port() {
        return this.server.address().port;
    }

    /** Breaks what connections there are. */
    cut() {
        for (const socket of this.sockets) socket.destroy();
    }

    close() {
        this.cut();
        this.server.close();
    }

    #connect(client, to) {
        const server = connect(to, '127.0.0.1');
        for (const [socket, other] of [[client, server], [server, client]]) {
            this.sockets.add(socket);
            socket.on('error', () => {});
            socket.on('close', () => {
                this.sockets.delete(socket);
                other.destroy();
            });
        }
        client.on('data', (bytes) => {
            this.asked += bytes.length;
            if (this.stalled) client.pause();
            else server.write(bytes);
        });
        client.on('end', () => server.end());
        let passed = 0;
        let text = '';
        server.on('data', (bytes) => {
            if (this.marker !== undefined) {
                const begun = text.length;
                text += bytes.toString('latin1');
                const at = text.indexOf(this.marker);
                this.after = at < 0 ? Infinity : passed + at + this.marker.length - begun;
            }
            const room = Math.max(0, this.after - passed);
            passed += bytes.length;
            if (this.cuts > 0 && passed > this.after) {
                this.cuts -= 1;
                client.end(bytes.subarray(0, room));
                server.destroy();
                return;
            }
            if (!client.write(bytes)) {
                server.pause();
                client.once('drain', () => server.resume());
            }
            if (this.held && passed > this.after) {
                server.pause();
                const look = setInterval(() => {
                    if (this.held) return;
                    clearInterval(look);
                    server.resume();
                }, 10);
                client.once('close', () => clearInterval(look));
            }
        });
        server.on('end', () => client.end());
    }
}
