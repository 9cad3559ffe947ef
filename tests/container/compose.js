// compose.yaml as Compose understands it, and what its services run, run here.
//
//   variables                          what it takes from the environment
//   await services(env)                its services, with the values of `env` in place
//   await tryCompose(env, …)           runs docker-compose on it: `{code, stdout, stderr}`
//   await isHealthy(service, port)     what the service's health check says of a server here
//   new RedisService(service)          a Server: its Redis
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { runToEnd, temporaryFolder } from '../support/processes.js';
import { Server } from '../support/server.js';

const file = fileURLToPath(new URL('../../compose.yaml', import.meta.url));
const yaml = readFileSync(file, 'utf8').replace(/^ *#.*/gm, '');
export const variables = [
    ...new Set(Array.from(yaml.matchAll(/(?<!\$)\$\{(\w+)/g), ([, name]) => name)),
];

export async function tryCompose(env, ...words) {
    const noSettings = path.join(temporaryFolder(), 'env');
    writeFileSync(noSettings, '');
    const options = ['--file', file, '--env-file', noSettings];
    return runToEnd(['docker-compose', ...options, ...words], { env });
}

/** Compose writes a $ as it is read in its files. */
function unescaped(value) {
    if (typeof value === 'string') return value.replaceAll('$$', '$');
    if (Array.isArray(value)) return value.map(unescaped);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, unescaped(of)]));
}

export async function services(env) {
    const { code, stdout, stderr } = await tryCompose(env, 'config');
    assert.equal(code, 0, stderr);
    return unescaped(parse(stdout)).services;
}

/** The environment of a service's command, as `env` takes it. */
const settings = (service) =>
    Object.entries(service.environment ?? {}).map(([name, value]) => `${name}=${value}`);

/** Runs a service's health check against a server here; `port` is where that listens. */
export async function isHealthy(service, port) {
    const [kind, ...words] = service.healthcheck.test;
    assert.ok(kind === 'CMD' || kind === 'CMD-SHELL', kind);
    const command = kind === 'CMD' ? words : ['sh', '-c', ...words];
    const { code } = await runToEnd(['env', ...settings(service), shims(port), ...command]);
    return code === 0;
}

/**
 * A PATH on which the programs of the services are this machine's, and use `port`. In a container
 * each has the usual one.
 */
function shims(port) {
    const folder = temporaryFolder();
    const programs = {
        'redis-server': `/usr/bin/redis-server "$@" --port ${port} --bind 127.0.0.1`,
        'redis-cli': `/usr/bin/redis-cli -p ${port} "$@"`,
        pg_isready: `/usr/lib/postgresql/15/bin/pg_isready --port=${port} "$@"`,
    };
    for (const [name, command] of Object.entries(programs)) {
        writeFileSync(path.join(folder, name), `#!/bin/sh\nexec ${command}\n`, { mode: 0o755 });
    }
    return `PATH=${folder}:/usr/bin:/bin`;
}

/** The service redis, run by its own command. */
export class RedisService extends Server {
    ready = ['stdout', /Ready to accept connections/];

    constructor(service) {
        super();
        this.service = service;
    }

    async startCommand() {
        return ['env', ...settings(this.service), shims(this.port), ...this.service.command];
    }
}
