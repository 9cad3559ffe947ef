// A real Redis 7 for the tests, which keeps everything in memory.
//
//   const redis = await Redis.start({password, tls, settings});
//   redis.stop(), start(), restart(), kill9() (all of which empty it), signal('SIGSTOP'), remove()
//   redis.env()                        the REDIS_* settings by which coupond uses it
//   redis.urlEnv()                     the same with REDIS_URL
//   redis.ask('GET', 'a key')          what it answers
//
// Most tests need none: Coupond (coupond.js) starts one for itself where the backend is redis.
import { makeCertificates } from './certificates.js';
import { outputOf } from './processes.js';
import { Server } from './server.js';

export class Redis extends Server {
    ready = ['stdout', /Ready to accept connections/];
    #options;
    #certificates;

    /**
     * Options: `password`, `tls` (it takes no connection without), `settings` (further ones of
     * redis.conf).
     */
    constructor(options = {}) {
        super();
        this.#options = options;
    }

    static async start(options) {
        const redis = new Redis(options);
        if (options?.tls) redis.#certificates = await makeCertificates(redis.folder);
        await redis.start();
        return redis;
    }

    /** Its settings, which a running one takes from its next start on. */
    configure(settings) {
        this.#options = {
            ...this.#options,
            settings: { ...this.#options.settings, ...settings },
        };
    }

    async startCommand() {
        const { password, settings = {} } = this.#options;
        const all = {
            bind: this.host,
            port: this.port,
            dir: this.folder,
            save: '',
            appendonly: 'no',
            'enable-debug-command': 'local',
            hz: 100, // how often it looks whether it was told to end
            ...(password && { requirepass: password }),
            ...(this.#certificates && {
                port: 0,
                'tls-port': this.port,
                'tls-cert-file': this.#certificates.certificate,
                'tls-key-file': this.#certificates.key,
                'tls-ca-cert-file': this.#certificates.authority,
                'tls-auth-clients': 'no',
            }),
            ...settings,
        };
        const words = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
        return ['redis-server', ...words];
    }

    /** REDIS_* for coupond; `through` ({host, port}) is what it is to connect to instead. */
    env(through = this) {
        const { password } = this.#options;
        return {
            REDIS_HOST: through.host,
            REDIS_PORT: String(through.port),
            ...(password && { REDIS_PASSWORD: password }),
            ...(this.#certificates && {
                REDIS_TLS: 'true',
                REDIS_SSLROOTCERT: this.#certificates.authority,
            }),
        };
    }

    /** The same with a URL. */
    urlEnv(through = this) {
        const { password } = this.#options;
        const login = password ? `:${encodeURIComponent(password)}@` : '';
        const scheme = this.#certificates ? 'rediss' : 'redis';
        return {
            REDIS_URL: `${scheme}://${login}${through.host}:${through.port}`,
            ...(this.#certificates && { REDIS_SSLROOTCERT: this.#certificates.authority }),
        };
    }

    /**
     * Sends one command, and returns its answer as data; the long texts of INFO or CLIENT LIST, for
     * which redis-cli knows no JSON, as they are. Throws where it is an error.
     */
    async ask(...words) {
        const { password } = this.#options;
        const tls = this.#certificates ? ['--tls', '--cacert', this.#certificates.authority] : [];
        const text = await outputOf(
            [
                'redis-cli',
                '-h',
                this.host,
                '-p',
                String(this.port),
                ...tls,
                '-e',
                '--json',
                ...words,
            ],
            { env: password ? { REDISCLI_AUTH: password } : {} },
        );
        try {
            return JSON.parse(text);
        } catch {
            return text;
        }
    }
}
