// Podman with the image of the Dockerfile. Images are kept in the user's cache folder, because
// making them takes minutes.
//
//   cannotRun                          why there are no containers on this machine, else undefined
//   await takeImage(), releaseImage()  has the image `coupond` made of this checkout, for this
//                                      process alone: another checkout's tests wait
//   podman('inspect', …)               what it prints; throws where it fails
//   tryPodman('inspect', …)            its `{code, stdout, stderr}`
//   await Container.start({env, ...})  coupond in a container: port, output, isHealthy(), exec(),
//                                      stop()
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, freePort, outputOf, runToEnd, temporaryFolder } from '../support/processes.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
const images = path.join(cache, 'coupond-test-images');
const state = '/run/coupond-test-images';
const buildWithinMs = 1_200_000;
const readyWithinMs = 60_000;
const stopWithinMs = 20_000;

/** A container is made of mounts. */
export const cannotRun =
    spawnSync('unshare', ['--mount', 'true']).status === 0
        ? undefined
        : 'NO CONTAINERS HERE: this needs root, and the right to mount';

let environment;

function podmanEnvironment() {
    if (environment) return environment;
    mkdirSync(images, { recursive: true });
    const storage = path.join(temporaryFolder(), 'storage.conf');
    writeFileSync(
        storage,
        `[storage]\ndriver = "overlay"\ngraphroot = "${images}/store"\nrunroot = "${state}"\n`,
    );
    environment = {
        ...process.env,
        CONTAINERS_CONF: path.join(here, 'containers.conf'),
        CONTAINERS_STORAGE_CONF: storage,
        DISABLE_HC_SYSTEMD: 'true', // health checks are run by the tests
    };
    return environment;
}

export const podman = (...words) => outputOf(['podman', ...words], { env: podmanEnvironment() });

/** Runs it to its end: `{code, stdout, stderr}`. */
export const tryPodman = (...words) => runToEnd(['podman', ...words], { env: podmanEnvironment() });

let lock;

export async function takeImage() {
    const env = podmanEnvironment();
    lock = new Child(
        [
            ...['flock', '--no-fork', path.join(images, 'lock')],
            ...['sh', '-c', 'echo taken; exec sleep infinity'],
        ],
        { name: 'the lock on the images' },
    );
    await lock.outputMatching('stdout', /taken/, buildWithinMs);
    await outputOf([path.join(here, 'build_image.sh')], { env, withinMs: buildWithinMs });
}

export function releaseImage() {
    lock?.kill('SIGTERM');
}

let containers = 0;

/** coupond as the image starts it, in the network of this machine. */
export class Container {
    #child;

    /**
     * Options: `env`, `words` (the command, where it is not the image's), `options` (of podman
     * run).
     */
    static async start({ env = {}, words = [], options = [] } = {}) {
        const container = new Container();
        containers += 1;
        container.name = `coupond-test-${process.pid}-${containers}`;
        container.port = await freePort();
        const settings = Object.entries({ ...env, PORT: container.port });
        container.#child = new Child(
            [
                ...['podman', 'run', '--rm', '--name', container.name],
                ...settings.flatMap(([name, value]) => ['--env', `${name}=${value}`]),
                ...[...options, 'localhost/coupond', ...words],
            ],
            // Podman passes SIGTERM on, so that the container ends with the test process.
            { name: container.name, env: podmanEnvironment(), deathSignal: 'SIGTERM' },
        );
        await container.#child.outputMatching('stdout', /is ready on http:/, readyWithinMs);
        return container;
    }

    get output() {
        return this.#child.output;
    }

    /** What its HEALTHCHECK says. */
    async isHealthy() {
        const { code, stdout, stderr } = await tryPodman('healthcheck', 'run', this.name);
        assert.ok(code === 0 || code === 1, `${code}: ${stdout}${stderr}`);
        return code === 0;
    }

    /** What a command prints that is run in it. */
    exec(...words) {
        return podman('exec', this.name, ...words);
    }

    /** As Docker stops it; then it has to end by itself, with 0. */
    async stop() {
        if (!this.#child.running) return;
        await podman('stop', '--time', '15', this.name);
        const end = await this.#child.exit(stopWithinMs);
        assert.deepEqual(end, { code: 0, signal: null }, this.output);
        assert.match(this.output, /stopping +signal=SIGTERM/);
    }
}
